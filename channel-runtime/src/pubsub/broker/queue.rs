use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    driver::Outgoing,
    options::{ClusterOptions, Overflow},
};
use crate::pubsub::{BoxFuture, PublishError};

/// The messages that wait for the engine. The queue is bounded by their number and by their bytes,
/// and closed while the engine is unreachable.
pub(super) struct Queue {
    sender: mpsc::Sender<Item>,
    bytes: Arc<Semaphore>,
    budget: u32,
    overflow: Overflow,
    open: Arc<Mutex<bool>>,
}

/// A message and the receiver of its outcome.
pub(super) struct Item {
    pub(super) message: Outgoing,
    pub(super) outcome: oneshot::Sender<Result<(), PublishError>>,
    pub(super) room: OwnedSemaphorePermit,
}

type Outcome = BoxFuture<'static, Result<(), PublishError>>;

impl Queue {
    pub(super) fn new(options: &ClusterOptions) -> (Self, mpsc::Receiver<Item>) {
        let (sender, receiver) = mpsc::channel(options.queue_messages);
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        // `most` is at most u32::MAX.
        let budget = options.queue_bytes.min(most) as u32;
        let queue = Queue {
            sender,
            bytes: Arc::new(Semaphore::new(budget as usize)),
            budget,
            overflow: options.overflow,
            open: Arc::new(Mutex::new(false)),
        };
        (queue, receiver)
    }

    /// Starts taking messages.
    pub(super) fn open(&self) {
        *self.open.lock() = true;
    }

    /// Stops taking messages, and returns the waiting ones to their senders.
    pub(super) fn close(&self, receiver: &mut mpsc::Receiver<Item>) {
        *self.open.lock() = false;
        while let Ok(item) = receiver.try_recv() {
            // The sender may have gone.
            let _gone = item.outcome.send(Err(PublishError::Unreachable));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// Queues a message; the returned future resolves to its outcome.
    pub(super) fn push(&self, channel: Arc<str>, body: Bytes) -> Outcome {
        if !*self.open.lock() {
            return fail(PublishError::Unreachable);
        }
        let message = Outgoing { channel, body };
        let size = self.size(&message);
        // Reserve one permit of each kind first, or this message would overtake a waiting one.
        let room = self.bytes.clone().try_acquire_many_owned(size);
        match (room, self.sender.try_reserve(), self.overflow) {
            (Ok(room), Ok(slot), _) => {
                let open = self.open.lock();
                if !*open {
                    return fail(PublishError::Unreachable);
                }
                let (item, outcome) = item(message, room);
                slot.send(item);
                drop(open);
                outcome
            }
            (_, _, Overflow::Refuse) => fail(PublishError::QueueFull),
            (_, _, Overflow::Wait(most)) => {
                let (sender, bytes) = (self.sender.clone(), self.bytes.clone());
                let open = self.open.clone();
                Box::pin(async move {
                    let reserved = async {
                        let room = bytes.acquire_many_owned(size).await.ok()?;
                        Some((room, sender.reserve_owned().await.ok()?))
                    };
                    let Ok(Some((room, slot))) = tokio::time::timeout(most, reserved).await else {
                        return Err(PublishError::QueueFull);
                    };
                    let outcome = {
                        let open = open.lock();
                        if !*open {
                            return Err(PublishError::Unreachable);
                        }
                        let (item, outcome) = item(message, room);
                        slot.send(item);
                        outcome
                    };
                    outcome.await
                })
            }
        }
    }

    /// Returns the permits for a message, so that one larger than the whole budget still fits an
    /// empty queue.
    fn size(&self, message: &Outgoing) -> u32 {
        u32::try_from(message.body.len())
            .unwrap_or(u32::MAX)
            .min(self.budget)
    }
}

fn item(message: Outgoing, room: OwnedSemaphorePermit) -> (Item, Outcome) {
    let (sender, receiver) = oneshot::channel();
    let item = Item {
        message,
        outcome: sender,
        room,
    };
    // The sender was dropped: the link ended while the message was on its way.
    let outcome = async { receiver.await.unwrap_or(Err(PublishError::Unconfirmed)) };
    (item, Box::pin(outcome))
}

pub(super) fn fail(error: PublishError) -> Outcome {
    Box::pin(std::future::ready(Err(error)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue(overflow: Overflow) -> (Queue, mpsc::Receiver<Item>) {
        let options = ClusterOptions::new()
            .queue_messages(2)
            .queue_bytes(100)
            .overflow(overflow);
        let (queue, receiver) = Queue::new(&options);
        queue.open();
        (queue, receiver)
    }

    fn push(queue: &Queue, bytes: usize) -> Outcome {
        queue.push("a".into(), vec![0; bytes].into())
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let (queue, mut receiver) = queue(Overflow::Refuse);
        let waiting = [push(&queue, 40), push(&queue, 40)];
        assert_eq!(queue.len(), 2);
        let third = push(&queue, 1).await;
        assert!(matches!(third, Err(PublishError::QueueFull)), "{third:?}");
        queue.close(&mut receiver);
        for outcome in waiting {
            assert!(matches!(outcome.await, Err(PublishError::Unreachable)));
        }
        let closed = push(&queue, 1).await;
        assert!(matches!(closed, Err(PublishError::Unreachable)));
    }

    #[tokio::test]
    async fn a_queue_is_full_of_bytes_too_but_one_message_always_fits() {
        let (queue, _receiver) = queue(Overflow::Refuse);
        let _huge = push(&queue, 1000);
        assert_eq!(queue.len(), 1);
        let second = push(&queue, 1).await;
        assert!(matches!(second, Err(PublishError::QueueFull)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_waits_takes_the_message_when_there_is_room() {
        let (queue, mut receiver) = queue(Overflow::Wait(Duration::from_secs(1)));
        let _first = push(&queue, 90);
        let mut second = push(&queue, 90);
        assert!(futures_util::FutureExt::now_or_never(&mut second).is_none());
        drop(receiver.recv().await);
        let (outcome, item) = tokio::join!(second, async {
            let item = receiver.recv().await.unwrap();
            item.outcome.send(Ok(())).unwrap();
        });
        assert!(outcome.is_ok());
        let () = item;
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_waits_does_not_wait_for_ever() {
        let (queue, _receiver) = queue(Overflow::Wait(Duration::from_secs(1)));
        let _first = push(&queue, 90);
        let second = push(&queue, 90).await;
        assert!(matches!(second, Err(PublishError::QueueFull)));
    }

    #[tokio::test]
    async fn a_message_dropped_on_its_way_is_unconfirmed() {
        let (queue, mut receiver) = queue(Overflow::Refuse);
        let outcome = push(&queue, 1);
        drop(receiver.recv().await);
        assert!(matches!(outcome.await, Err(PublishError::Unconfirmed)));
    }
}
