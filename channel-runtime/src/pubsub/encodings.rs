use std::sync::Arc;

use crate::protocol::{Broadcast, SharedFrame, SharedSerializer};
use crate::telemetry::{line, shown};

/// The encoded frames of a broadcast: one per serializer, however many subscribers share it. `None`
/// if the serializer cannot send the broadcast.
#[derive(Default)]
pub(crate) struct Encodings(Vec<(SharedSerializer, Option<Arc<SharedFrame>>)>);

impl Encodings {
    pub(crate) fn frame(
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
