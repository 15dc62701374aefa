use std::sync::Arc;

use super::{Broadcast, Subscriber};
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
                tracing::warn!(%topic, event, %error, "subscribers of one serializer are left out");
            });
            self.0
                .push((serializer.clone(), frame.ok().map(SharedFrame::new)));
            self.0.len() - 1
        });
        self.0[at].1.as_ref()
    }
}

/// A channel's subscription to its own topic: broadcasts go straight to the connection, past the
/// channel's task, unless the channel intercepts them. Mirrors Phoenix's fastlane.
pub(crate) struct Fastlane<F> {
    outlet: Outlet,
    intercepts: &'static [&'static str],
    intercept: F,
}

impl<F: Fn(&Broadcast) + Send + Sync> Fastlane<F> {
    pub(crate) fn new(
        outlet: Outlet,
        intercepts: &'static [&'static str],
        intercept: F,
    ) -> Arc<Self> {
        Arc::new(Fastlane {
            outlet,
            intercepts,
            intercept,
        })
    }
}

impl<F: Fn(&Broadcast) + Send + Sync> Subscriber for Fastlane<F> {
    fn deliver(&self, broadcast: &Broadcast, encodings: &mut Encodings) {
        if self.intercepts.contains(&broadcast.event()) {
            return (self.intercept)(broadcast);
        }
        if let Some(frame) = encodings.frame(broadcast, self.outlet.serializer()) {
            self.outlet.send_shared(frame);
        }
    }
}
