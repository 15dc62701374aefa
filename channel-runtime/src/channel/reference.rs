use super::{Answer, IntoReply};
use crate::{
    connection::ClientSender,
    protocol::{Refusal, Term, Topic},
};

/// Answers one client message after its handler has returned, from any task.
///
/// A `#[handle_in]` method that takes one by value answers through it, so it returns `()` (or
/// [`Stop`](crate::Stop)). It borrows nothing from the channel and outlives it; an answer to a
/// client that is gone is dropped. If it is dropped without an answer, as when the task that held
/// it panics, the client gets `{"reason": "no answer"}`, so that no push hangs until its timeout.
/// Mirrors `Phoenix.Channel.socket_ref/1` and `reply/2`.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Work;
/// #[channel("work:*")]
/// impl Work {
///     #[join]
///     fn join() -> Self { Work }
///
///     #[handle_in("work")]
///     fn work(&mut self, job: String, to: SocketRef) {
///         tokio::spawn(async move { to.ok(job.len()) });
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "the client waits for an answer: call `ok`, `error`, `reply` or `ignore`"]
pub struct SocketRef {
    client: Option<ClientSender>,
    topic: Topic,
    join_ref: Term,
    reference: Term,
}

impl SocketRef {
    pub(super) fn new(client: ClientSender, topic: Topic, join_ref: Term, reference: Term) -> Self {
        SocketRef {
            client: Some(client),
            topic,
            join_ref,
            reference,
        }
    }

    /// Replies `ok`. Mirrors `reply(ref, {:ok, response})`.
    pub fn ok(self, response: impl IntoReply) {
        self.reply(response);
    }

    /// Replies `error`. Mirrors `reply(ref, {:error, response})`.
    pub fn error(self, refusal: impl Into<Refusal>) {
        self.reply(Answer::refuse(refusal));
    }

    /// Replies with any value that a handler could return; a [`Stop`](crate::Stop) in it stops
    /// nothing.
    pub fn reply(mut self, response: impl IntoReply) {
        self.send(response.into_reply());
    }

    /// Leaves the client without an answer, on purpose.
    pub fn ignore(mut self) {
        self.client = None;
    }

    fn send(&mut self, answer: Answer) {
        if let Some(client) = self.client.take() {
            answer.send(&client, &self.join_ref, &self.reference, &self.topic);
        }
    }
}

impl Drop for SocketRef {
    fn drop(&mut self) {
        self.send(Answer::refuse(Refusal::new("no answer")));
    }
}
