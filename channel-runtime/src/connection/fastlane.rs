use crate::{protocol::Broadcast, pubsub::Encodings};

use super::Outlet;

/// Sends a broadcast straight to a connection, past its channel. Mirrors Phoenix's fastlane.
pub(crate) fn send_on(outlet: &Outlet, broadcast: &Broadcast, encodings: &mut Encodings) {
    if let Some(frame) = encodings.frame(broadcast, outlet.serializer()) {
        outlet.send_shared(frame);
    }
}
