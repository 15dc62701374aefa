//! The values that handlers return, and their conversion into replies.

use std::{fmt, sync::Arc};

use serde::Serialize;
use smol_str::SmolStr;

use super::{Reason, Stop};
use crate::{
    connection::{ClientSender, Urgency},
    protocol::{Binary, EncodeError, Payload, Refusal, Term, Topic},
};

/// The usual return type of a handler that answers: `Ok` is a reply with status `ok`, `Err` one
/// with status `error`.
///
/// ```
/// # use channel_runtime::prelude::*;
/// fn check(body: &str) -> Reply {
///     if body.is_empty() {
///         return Err(Refusal::new("empty"));
///     }
///     Ok(())
/// }
/// ```
pub type Reply<T = (), E = Refusal> = Result<T, E>;

/// The answer to a client's message: a reply or silence, and perhaps the end of the channel.
///
/// Handlers rarely name it: `()`, a [`Reply`], a [`Stop`] and so on convert into one. Return it
/// from a handler that decides between them.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub(crate) reply: Option<(SmolStr, Payload)>,
    pub(crate) stop: Option<Reason>,
    /// The part that replies later, in place of `reply`.
    pub(super) later: Option<Arc<dyn ReplyLater>>,
}

/// An answer that sends its own reply: a stream.
pub(super) trait ReplyLater: fmt::Debug + Send + Sync {
    /// Starts it for the message that it answers.
    fn begin(&self, client: &ClientSender, join_ref: &Term, reference: &Term, topic: &Topic);
}

pub(crate) const OK: SmolStr = SmolStr::new_static("ok");
pub(crate) const ERROR: SmolStr = SmolStr::new_static("error");

impl Answer {
    /// Sends the reply, if there is one. A reply that this client's serializer cannot carry becomes
    /// an error reply that says so.
    pub(super) fn send(
        self,
        client: &ClientSender,
        join_ref: &Term,
        reference: &Term,
        topic: &Topic,
    ) {
        if let Some(later) = self.later {
            later.begin(client, join_ref, reference, topic);
        } else if let Some((status, payload)) = self.reply {
            let topic = Term::from(topic);
            let urgency = Urgency::MustSend;
            client.reply(join_ref, reference, &topic, &status, &payload, urgency);
        }
    }

    /// Creates an answer without a reply. Mirrors `{:noreply, socket}`.
    pub fn none() -> Self {
        Answer::default()
    }

    /// Creates a reply with status `ok`. Mirrors `{:reply, {:ok, response}, socket}`.
    pub fn ok(response: impl IntoReply) -> Self {
        response.into_reply()
    }

    /// Creates a reply with status `error`. Mirrors `{:reply, {:error, response}, socket}`.
    pub fn refuse(refusal: impl Into<Refusal>) -> Self {
        Answer {
            reply: Some((ERROR, refusal.into().payload())),
            ..Answer::default()
        }
    }

    pub(crate) fn with_status(status: SmolStr, payload: Result<Payload, EncodeError>) -> Self {
        match payload {
            Ok(payload) => Answer {
                reply: Some((status, payload)),
                ..Answer::default()
            },
            Err(error) => Answer::refuse(error),
        }
    }

    /// Creates the answer to an event that no handler takes.
    #[doc(hidden)]
    pub fn unknown_event() -> Self {
        Answer::refuse(Refusal::new("unknown event"))
    }
}

/// A reply with a status of your own, besides `ok` and `error`.
///
/// ```
/// # use channel_runtime::prelude::*;
/// fn brew() -> Status<&'static str> {
///     Status("teapot", "short and stout")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Status<T = ()>(pub &'static str, pub T);

/// A value that can stand in the `Ok` of a handler's answer: any `Serialize` value as JSON,
/// [`Binary`], a [`Payload`], a [`Status`], a [`Stop`], a [`PushStream`](crate::PushStream) or an [`Answer`]; `()` is
/// the response `{}`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a response to a client message",
    label = "not a response",
    note = "derive `serde::Serialize` for it, or use `Binary`, `Payload`, `Status`, `Stop` or `Answer`"
)]
pub trait IntoReply {
    /// Converts the value.
    fn into_reply(self) -> Answer;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> IntoReply for T {
    fn into_reply(self) -> Answer {
        Answer::with_status(OK, Payload::reply(&self))
    }
}

impl IntoReply for Binary {
    fn into_reply(self) -> Answer {
        Answer::with_status(OK, Ok(Payload::binary(self.0)))
    }
}

impl IntoReply for Payload {
    fn into_reply(self) -> Answer {
        Answer::with_status(OK, Ok(self))
    }
}

impl<T: IntoReply> IntoReply for Status<T> {
    fn into_reply(self) -> Answer {
        let mut answer = self.1.into_reply();
        if let Some((status, _)) = &mut answer.reply
            && *status == OK
        {
            *status = SmolStr::new_static(self.0);
        }
        answer
    }
}

impl IntoReply for Stop {
    fn into_reply(self) -> Answer {
        Answer {
            stop: Some(self.reason),
            ..self.answer
        }
    }
}

impl IntoReply for Answer {
    fn into_reply(self) -> Answer {
        self
    }
}

/// An error that a client can be refused with: any type that is `Into<Refusal>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that a client can be refused with",
    label = "not a refusal",
    note = "return `Result<_, InternalError>`, which takes any error by `?` and keeps its text from the client; or implement `From` of your own error for `Refusal`"
)]
pub trait IntoRefusal {
    /// Converts the error.
    fn into_refusal(self) -> Refusal;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Refusal>> IntoRefusal for E {
    fn into_refusal(self) -> Refusal {
        self.into()
    }
}

/// A value that a `#[handle_in]` handler can return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an answer to a client message",
    label = "not an answer",
    note = "an answer is `()` for silence, `Reply<T>` or `Result<T, E>` for a reply, `Status<T>`, `Stop` or `Answer`"
)]
pub trait IntoAnswer {
    /// Converts the value.
    fn into_answer(self) -> Answer;
}

impl IntoAnswer for () {
    fn into_answer(self) -> Answer {
        Answer::none()
    }
}

impl<T: IntoReply, E: IntoRefusal> IntoAnswer for Result<T, E> {
    fn into_answer(self) -> Answer {
        match self {
            Ok(value) => value.into_reply(),
            Err(error) => Answer::refuse(error.into_refusal()),
        }
    }
}

impl<T: IntoReply> IntoAnswer for Status<T> {
    fn into_answer(self) -> Answer {
        self.into_reply()
    }
}

impl IntoAnswer for Stop {
    fn into_answer(self) -> Answer {
        self.into_reply()
    }
}

impl IntoAnswer for Answer {
    fn into_answer(self) -> Answer {
        self
    }
}

/// The outcome of a handler without a reply: the channel goes on or ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct NoReply {
    pub(crate) stop: Option<Reason>,
}

impl NoReply {
    /// Lets the channel go on.
    pub const CONTINUE: NoReply = NoReply { stop: None };
}

impl From<NoReply> for Answer {
    fn from(flow: NoReply) -> Self {
        Answer {
            stop: flow.stop,
            ..Answer::default()
        }
    }
}

/// A value that a handler without a reply can return: `()` to go on, [`Stop`] to end the channel, a
/// [`NoReply`], an `Option` of one, or a `Result` of one whose error ends the channel with
/// [`Reason::Error`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned here: there is no client message to answer",
    label = "no client gets this",
    note = "return `()`, `Stop`, `Option<Stop>` or `Result<(), Error>`, whose error may be any that can be displayed"
)]
pub trait IntoNoReply {
    /// Converts the value.
    fn into_no_reply(self) -> NoReply;
}

impl IntoNoReply for () {
    fn into_no_reply(self) -> NoReply {
        NoReply::CONTINUE
    }
}

impl IntoNoReply for Stop {
    fn into_no_reply(self) -> NoReply {
        NoReply {
            stop: Some(self.reason),
        }
    }
}

impl IntoNoReply for NoReply {
    fn into_no_reply(self) -> NoReply {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoNoReply> IntoNoReply for Option<T> {
    fn into_no_reply(self) -> NoReply {
        self.map_or(NoReply::CONTINUE, IntoNoReply::into_no_reply)
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoNoReply, E: std::fmt::Display> IntoNoReply for Result<T, E> {
    fn into_no_reply(self) -> NoReply {
        match self {
            Ok(value) => value.into_no_reply(),
            Err(error) => Stop::error(error.to_string()).into_no_reply(),
        }
    }
}
