use std::sync::Arc;

use super::Broadcast;
use crate::telemetry::{line, shown};
use crate::{
    socket::{Outlet, SharedFrame},
    wire::SharedSerializer,
};

/// The frames a broadcast has become so far: one a serializer, however many subscribers share
/// it. `None` where the serializer cannot send it.
#[derive(Default)]
pub(crate) struct Encodings(Vec<(SharedSerializer, Option<Arc<SharedFrame>>)>);

impl Encodings {
    fn frame(
        &mut self,
        broadcast: &Broadcast,
        serializer: &SharedSerializer,
    ) -> Option<&Arc<SharedFrame>> {
        let known = self.0.iter().position(|(known, _)| known.is(serializer));
        let at = known.unwrap_or_else(|| {
            let frame = serializer.broadcast(broadcast).inspect_err(|error| {
                let (topic, event) = (broadcast.topic(), broadcast.event());
                tracing::warn!(topic = %shown(&topic), event = &*line(event), error = %shown(&error), "subscribers of one serializer are left out");
            });
            self.0
                .push((serializer.clone(), frame.ok().map(SharedFrame::new)));
            self.0.len() - 1
        });
        self.0[at].1.as_ref()
    }
}

/// Sends a broadcast straight to a connection, past its channel. Mirrors Phoenix's fastlane.
pub(crate) fn send_on(outlet: &Outlet, broadcast: &Broadcast, encodings: &mut Encodings) {
    if let Some(frame) = encodings.frame(broadcast, outlet.serializer()) {
        outlet.send_shared(frame);
    }
}
