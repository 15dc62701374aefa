//! The view of a channel for its connection, and for the join that replaces it.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    Answer, Channel, Reason,
    mailbox::{Command, Ended, Mailbox, Next},
    server,
};
use crate::{
    connection::{Reservation, Undelivered},
    protocol::{Message, Term},
};

/// The operations of a connection on a channel of any type.
pub(crate) trait Handle: Send + Sync {
    /// Passes a client's message to the channel. Called by the channel's own connection, in whose
    /// task the channel then runs, as far as it does not wait.
    fn push(&self, message: Message, claim: Reservation<'_>) -> Result<(), (Message, Undelivered)>;
    /// Tells the channel that the client leaves, with the ref of its message.
    fn leave(&self, reference: Term) -> bool;
    /// Tells the channel that the connection is gone.
    fn closed(&self);
    /// Ends the channel within its shutdown time.
    fn stop(&self, reason: Reason);
    /// Becomes ready when the channel is over.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Ended>;
    /// Returns the time that the channel may take to end.
    fn shutdown(&self) -> Duration;
    /// Drops the channel's current work.
    fn abort(&self);
}

pub(crate) type ChannelHandle = Arc<dyn Handle>;

impl<C: Channel> Handle for Mailbox<C> {
    fn push(&self, message: Message, claim: Reservation<'_>) -> Result<(), (Message, Undelivered)> {
        // Before the mailbox: a handler that waits for an answer must not hold the answer up.
        if let Some(taken) = self.requests.take(&message) {
            let answer = match taken {
                Ok(()) => Answer::ok(()),
                Err(refusal) => Answer::refuse(refusal),
            };
            answer.send(
                &self.client,
                &self.join_ref,
                &message.reference,
                &self.topic,
            );
            return Ok(());
        }
        if !self.admit() {
            return Err((message, Undelivered::Full));
        }
        if server::may_run_in_place()
            && let Some(server) = self.take_resting()
        {
            let command = Command::Push(message, None);
            server::begin(server, Next::Command(command), &self.runtime, || {
                self.hold(claim.take());
            });
            return Ok(());
        }
        self.deliver(message, claim)
            .map_err(|message| (message, Undelivered::Ended))
    }

    fn leave(&self, reference: Term) -> bool {
        self.requests.left();
        self.push_final(Command::Leave(reference)).is_ok()
    }

    fn closed(&self) {
        self.requests.closed();
        // A channel that has ended already needs no message.
        let _ended = self.push_final(Command::Closed);
    }

    fn stop(&self, reason: Reason) {
        Mailbox::stop(self, reason);
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Ended> {
        Mailbox::poll_ended(self, cx)
    }

    fn shutdown(&self) -> Duration {
        C::OPTIONS.shutdown
    }

    fn abort(&self) {
        Mailbox::abort(self);
    }
}

/// The channel that a new join replaces.
pub(crate) struct Predecessor {
    pub(crate) handle: ChannelHandle,
    pub(crate) join_ref: Term,
    pub(crate) leaving: bool,
}

impl Predecessor {
    /// Waits until it is over. Returns true if the client still needs its `phx_close`.
    pub(super) async fn wait(&self) -> bool {
        if !self.leaving {
            self.handle.stop(Reason::Rejoined);
        }
        let ended = || poll_fn(|cx| self.handle.poll_ended(cx));
        // Twice the channel's own time: it ends itself after once, and the rest is for one that
        // blocks its thread.
        let ended = match timeout(self.handle.shutdown() * 2, ended()).await {
            Ok(ended) => ended,
            Err(_) => {
                self.handle.abort();
                return !self.leaving;
            }
        };
        ended == Ended::Silent && !self.leaving
    }
}
