//! The task of one session: it owns the connection, and outlives every request.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll as Ready, Waker, ready},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    backlog::Backlog,
    handle::{Batch, Poll, Polled, Requests},
    sessions::Entry,
};
use crate::{
    connection::{Account, Close, Connection, Event},
    protocol::Frame,
};

/// The maximum size of one answer, in bytes; the rest waits for the next poll.
const ANSWER_BYTES: usize = 1 << 20;

/// One session.
pub(super) struct Session {
    connection: Connection,
    requests: Requests,
    /// The poll that waits for messages.
    poll: Option<Poll>,
    /// The frames that are being handed to the connection.
    batch: Option<Batch>,
    /// Messages that no poll has taken yet.
    backlog: Backlog,
    /// The time it lives without a poll.
    lifetime: Duration,
    /// The time at which the last poll was answered, or went away.
    polled: Instant,
}

/// An event of the connection or of a waiting request.
enum Progress {
    /// The batch is taken.
    Taken,
    /// The client of the poll is gone.
    Unpolled,
    /// Messages for the poll.
    Messages(Vec<Frame>),
    /// The connection ends after these messages.
    Closed(Vec<Frame>),
    /// The client sent a malformed frame.
    Unreadable,
}

impl Session {
    pub(super) fn new(connection: Connection, requests: Requests, lifetime: Duration) -> Self {
        Session {
            connection,
            requests,
            poll: None,
            batch: None,
            backlog: Backlog::default(),
            lifetime,
            polled: Instant::now(),
        }
    }

    /// Serves the client's requests until the session ends.
    pub(super) async fn run(mut self, entry: Entry) {
        let is_closed = self.serve().await;
        let account = self.connection.account().clone();
        // The channels end now, even if their last messages are still to be fetched.
        drop(self.connection);
        // This backlog cannot be evicted for a slow client, so it needs free room.
        if is_closed && !self.backlog.is_empty() && !account.is_spent() {
            let until = Instant::now() + self.lifetime;
            // Spawned untracked, so that a shutdown does not wait for it.
            tokio::spawn(linger(self.backlog, self.requests, until, entry, account));
        }
    }

    /// Serves until the session ends; returns true if the client may still fetch the remaining
    /// messages.
    async fn serve(&mut self) -> bool {
        loop {
            let Session {
                connection,
                requests,
                poll,
                batch,
                ..
            } = self;
            let (is_polled, is_busy) = (poll.is_some(), batch.is_some());
            let progress = poll_fn(|cx| poll_progress(connection, batch, poll, cx));
            tokio::select! {
                Some(poll) = requests.polls.recv() => self.take_over(poll),
                Some(batch) = requests.batches.recv(), if !is_busy => {
                    connection.begin_batch();
                    self.batch = Some(batch);
                }
                () = sleep_until(self.polled + self.lifetime), if !is_polled => {
                    connection.note_end(&Close::TIMEOUT);
                    return false;
                }
                progress = progress => match progress {
                    Progress::Taken => {}
                    Progress::Unpolled => self.polled = Instant::now(),
                    Progress::Messages(frames) => self.answer(frames),
                    Progress::Unreadable => return false,
                    Progress::Closed(frames) => {
                        self.answer(frames);
                        return true;
                    }
                },
            }
        }
    }

    /// Takes a poll. Of two concurrent polls, the later one gets the messages.
    fn take_over(&mut self, poll: Poll) {
        let Some(poll) = self.backlog.meet(poll) else {
            return;
        };
        if let Some(earlier) = self.poll.replace(poll) {
            let _gone = earlier.answer.send(Polled::Displaced);
        }
        self.answer(Vec::new());
    }

    /// Gives messages to the waiting poll, or keeps them for the next one.
    fn answer(&mut self, frames: Vec<Frame>) {
        self.backlog.push(frames);
        if self.backlog.answer(&mut self.poll) {
            self.polled = Instant::now();
        }
        self.backlog.count(self.connection.account());
    }
}

/// Moves frames in both directions. Frames leave the connection only for a poll; until then they
/// wait in its bounded outbox.
fn poll_progress(
    connection: &mut Connection,
    batch: &mut Option<Batch>,
    poll: &mut Option<Poll>,
    cx: &mut Context<'_>,
) -> Ready<Progress> {
    if let Some(taken) = batch
        .as_mut()
        .map(|batch| poll_batch(connection, batch, cx))
        && let Ready::Ready(taken) = taken
    {
        let unreadable = taken.is_err();
        if let Some(batch) = batch.take() {
            let _gone = batch.answer.send(taken);
        }
        return Ready::Ready(match unreadable {
            true => Progress::Unreadable,
            false => Progress::Taken,
        });
    }
    match poll {
        None => {
            let _close = ready!(connection.poll_closing(cx));
            poll_messages(
                connection,
                &mut Context::from_waker(Waker::noop()),
                usize::MAX,
            )
        }
        Some(waiting) => {
            if waiting.answer.poll_closed(cx).is_ready() {
                *poll = None;
                return Ready::Ready(Progress::Unpolled);
            }
            poll_messages(connection, cx, ANSWER_BYTES)
        }
    }
}

fn poll_batch(
    connection: &mut Connection,
    batch: &mut Batch,
    cx: &mut Context<'_>,
) -> Ready<Result<(), Close>> {
    loop {
        if batch.next.is_none() {
            batch.next = batch.frames.next();
        }
        if batch.next.is_none() {
            return Ready::Ready(Ok(()));
        }
        ready!(connection.poll_receive(&mut batch.next, cx))?;
    }
}

/// Returns the connection's waiting messages, at least one, or its end.
fn poll_messages(
    connection: &mut Connection,
    cx: &mut Context<'_>,
    most: usize,
) -> Ready<Progress> {
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while bytes < most {
        match connection.poll_next(cx) {
            Ready::Ready(Event::Frame(frame)) => {
                bytes += frame.len();
                frames.push(frame);
            }
            Ready::Ready(Event::Close(_)) => return Ready::Ready(Progress::Closed(frames)),
            Ready::Pending if frames.is_empty() => return Ready::Pending,
            Ready::Pending => break,
        }
    }
    Ready::Ready(Progress::Messages(frames))
}

/// Keeps the last messages of a session that has ended, for the poll that fetches them.
async fn linger(
    mut backlog: Backlog,
    mut requests: Requests,
    until: Instant,
    entry: Entry,
    account: Arc<Account>,
) {
    requests.batches.close();
    while !backlog.is_empty()
        && let Ok(Some(poll)) = timeout_at(until, requests.polls.recv()).await
    {
        let mut poll = backlog.meet(poll);
        backlog.answer(&mut poll);
        backlog.count(&account);
    }
    drop(entry);
}
