use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::Stream;
use tokio::sync::mpsc;

use crate::{
    protocol::{Broadcast, Topic},
    pubsub::{FnSubscriber, PubSub, Subscription},
};

/// The number of broadcasts that may wait for a subscriber outside of any channel.
const CAPACITY: usize = 1024;

/// The broadcasts of a topic: see [`Endpoint::subscribe`](crate::Endpoint::subscribe). A [`Stream`]
/// that never ends.
#[derive(Debug)]
pub struct EndpointSubscription {
    // Dropped first, so that nothing is sent to a dropped receiver.
    subscription: Subscription,
    broadcasts: mpsc::Receiver<Broadcast>,
    missed: Arc<AtomicU64>,
}

impl EndpointSubscription {
    pub(super) fn new(pubsub: &Arc<PubSub>, topic: Topic) -> Self {
        let (sender, broadcasts) = mpsc::channel(CAPACITY);
        let missed = Arc::new(AtomicU64::new(0));
        let counter = missed.clone();
        let relay = FnSubscriber::new(move |broadcast: &Broadcast| {
            if sender.try_send(broadcast.clone()).is_err() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let subscription = pubsub.subscribe(topic, pubsub.new_id(), Arc::new(relay));
        EndpointSubscription {
            subscription,
            broadcasts,
            missed,
        }
    }

    /// Waits until broadcasts of other nodes are sure to arrive: those sent after this reach this
    /// subscription. Returns at once if there are no other nodes or they are unreachable. Cancel
    /// safe.
    pub async fn confirmed(&self) {
        self.subscription.confirmed().await;
    }

    /// Waits for the next broadcast. At most 1024 wait; further ones are counted as missed. Cancel
    /// safe.
    pub async fn recv(&mut self) -> Broadcast {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Broadcast> {
        match self.broadcasts.poll_recv(cx) {
            Poll::Ready(Some(broadcast)) => Poll::Ready(broadcast),
            // The sender lives in the subscription that this value owns.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Returns the number of broadcasts missed for lack of room since the subscription began.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Stream for EndpointSubscription {
    type Item = Broadcast;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Broadcast>> {
        self.get_mut().poll(cx).map(Some)
    }
}
