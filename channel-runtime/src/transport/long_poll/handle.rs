//! The handle through which requests reach their session's task.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc, oneshot},
    time::{Instant, sleep_until, timeout_at},
};

use super::answer::status;
use crate::{connection::Close, protocol::Frame};

/// The number of polls that may queue for the task, which takes them as they arrive.
const POLLS: usize = 4;

/// The outcome of a poll. Without any of these the session has ended.
pub(super) enum Polled {
    /// There are messages for the client.
    Messages(Answered),
    /// A later poll has taken its place.
    Displaced,
}

/// The messages for a client.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// Empty if no message arrived in time.
    pub(super) frames: Vec<Frame>,
    /// The number that the client returns with its next poll, to confirm that it has the messages.
    pub(super) number: Option<u32>,
}

/// The request behind a poll.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The number of the last answer that the client has received.
    pub(super) taken: u32,
    /// The number of the request, if the answer leaves through another node.
    pub(super) call: Option<u64>,
}

/// A waiting poll.
pub(super) struct Poll {
    pub(super) answer: oneshot::Sender<Polled>,
    pub(super) asked: Asked,
}

/// Frames that one request brought.
pub(super) struct Batch {
    pub(super) frames: std::vec::IntoIter<Frame>,
    /// The next frame, while the session has no room for it.
    pub(super) next: Option<Frame>,
    /// Receives an error if one of the frames is malformed.
    pub(super) answer: oneshot::Sender<Result<(), Close>>,
}

/// The requests' side of a session.
#[derive(Clone)]
pub(super) struct Handle {
    polls: mpsc::Sender<Poll>,
    /// One request at a time may publish, so that one client cannot make many large bodies wait.
    batches: Arc<Mutex<mpsc::Sender<Batch>>>,
}

/// The session's side of a [`Handle`].
pub(super) struct Requests {
    pub(super) polls: mpsc::Receiver<Poll>,
    pub(super) batches: mpsc::Receiver<Batch>,
}

impl Handle {
    pub(super) fn new() -> (Self, Requests) {
        let (polls, polled) = mpsc::channel(POLLS);
        let (batches, published) = mpsc::channel(1);
        let handle = Handle {
            polls,
            batches: Arc::new(Mutex::new(batches)),
        };
        let requests = Requests {
            polls: polled,
            batches: published,
        };
        (handle, requests)
    }

    /// Waits for messages; returns none if the window ends first.
    ///
    /// # Errors
    ///
    /// The session has ended.
    pub(super) async fn poll(
        &self,
        asked: Asked,
        window: Duration,
        draining: impl Future<Output = ()>,
    ) -> Result<Answered, Ended> {
        let until = Instant::now() + window;
        let (answer, mut polled) = oneshot::channel();
        let poll = Poll { answer, asked };
        self.polls.send(poll).await.map_err(|_| Ended)?;
        let polled = match timeout_at(until, &mut polled).await {
            Ok(polled) => polled.map_err(|_| Ended)?,
            Err(_) => {
                polled.close();
                // A message that arrived as the time ran out counts.
                match polled.try_recv() {
                    Ok(polled) => polled,
                    Err(_) => return Ok(Answered::default()),
                }
            }
        };
        match polled {
            Polled::Messages(answered) => Ok(answered),
            Polled::Displaced => {
                // If answered at once, it would come back and displace the other in turn.
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = draining => {}
                }
                Ok(Answered::default())
            }
        }
    }

    /// Waits until no other request publishes.
    pub(super) async fn turn(&self) -> PollGuard {
        PollGuard(self.batches.clone().lock_owned().await)
    }

    /// Waits until the session has ended.
    pub(super) async fn ended(&self) {
        self.polls.closed().await;
    }
}

/// The session has ended.
#[derive(Debug)]
pub(super) struct Ended;

/// The right to publish.
pub(super) struct PollGuard(OwnedMutexGuard<mpsc::Sender<Batch>>);

impl PollGuard {
    /// Hands frames to the session, and waits until it has taken them.
    ///
    /// # Errors
    ///
    /// The status of the request: the session has ended, or one of the frames ends it.
    pub(super) async fn publish(self, frames: Vec<Frame>) -> Result<(), u16> {
        let (answer, published) = oneshot::channel();
        let batch = Batch {
            frames: frames.into_iter(),
            next: None,
            answer,
        };
        self.0.send(batch).await.map_err(|_| status::GONE)?;
        let published = published.await.map_err(|_| status::GONE)?;
        published.map_err(|_| status::BAD_REQUEST)
    }
}
