use crate::{protocol::Broadcast, pubsub::Encodings};

use super::ClientSender;

/// Sends a broadcast straight to a connection, past its channel. Mirrors Phoenix's fastlane.
pub(crate) fn send_on(client: &ClientSender, broadcast: &Broadcast, encodings: &mut Encodings) {
    if let Some(frame) = encodings.frame(broadcast, client.serializer()) {
        client.send_shared(frame);
    }
}
