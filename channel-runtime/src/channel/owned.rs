//! Parameters that a handler owns, told apart by type: the message, or the means to answer it.

use super::{Answer, Caller, Channel, Context, IntoAnswer, IntoNoReply, Reason, SocketRef, role};
use crate::protocol::{FromPayload, Payload, PayloadError};

/// A value that a `#[handle_in]` owns: the message, or a [`SocketRef`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be decoded from a client payload",
    label = "not a payload",
    note = "derive `serde::Deserialize` for it, or take `Binary` or `Payload`"
)]
pub trait FromMessage: Sized {
    /// When a handler that owns it answers.
    type Answers: When;
    /// The part of the message that is kept until all of it could be read.
    type Held;
    /// True if it is the message itself.
    const IS_MESSAGE: bool;

    /// Reads the payload.
    fn hold(payload: Payload) -> Result<Held<Self>, PayloadError>;

    /// Makes the value, when nothing can be refused any more.
    fn complete<C: Channel>(held: Self::Held, cx: &Context<'_, C, role::handle_in>) -> Self;

    /// Both at once.
    fn take<C: Channel>(
        payload: Payload,
        cx: &Context<'_, C, role::handle_in>,
    ) -> Result<Self, PayloadError> {
        Self::hold(payload).map(|held| held.complete(cx))
    }
}

/// A value of `T` that is not made yet.
pub struct Held<T: FromMessage>(T::Held);

impl<T: FromMessage> Held<T> {
    /// Makes it.
    pub fn complete<C: Channel>(self, cx: &Context<'_, C, role::handle_in>) -> T {
        T::complete(self.0, cx)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromPayload> FromMessage for T {
    type Answers = Now;
    type Held = T;
    const IS_MESSAGE: bool = true;

    fn hold(payload: Payload) -> Result<Held<Self>, PayloadError> {
        T::from_payload(payload).map(Held)
    }

    fn complete<C: Channel>(held: T, _: &Context<'_, C, role::handle_in>) -> T {
        held
    }
}

/// Made last: were it made before a payload is refused, the client would be answered twice.
#[diagnostic::do_not_recommend]
impl FromMessage for SocketRef {
    type Answers = Later;
    type Held = ();
    const IS_MESSAGE: bool = false;

    fn hold(_: Payload) -> Result<Held<Self>, PayloadError> {
        Ok(Held(()))
    }

    fn complete<C: Channel>(_: (), cx: &Context<'_, C, role::handle_in>) -> Self {
        cx.socket_ref()
    }
}

/// Returns true unless the two parameters of a `#[handle_in]` are a message and a [`SocketRef`].
pub const fn same_kind<A: FromMessage, B: FromMessage>() -> bool {
    A::IS_MESSAGE == B::IS_MESSAGE
}

/// When a message is answered.
pub trait When {
    /// When a handler answers that owns something else as well.
    type Or<W: When>: When;
}

/// By what the handler returns.
#[derive(Debug)]
pub enum Now {}

/// Through a [`SocketRef`].
#[derive(Debug)]
pub enum Later {}

impl When for Now {
    type Or<W: When> = W;
}

impl When for Later {
    type Or<W: When> = Later;
}

/// A value that a `#[handle_in]` can return, by when it answers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an answer to a client message",
    label = "not an answer",
    note = "an answer is `()` for silence, `Reply<T>` or `Result<T, E>` for a reply, `Status<T>`, `Stop` or `Answer`; beside a `SocketRef`, which answers, `()` or `Stop`"
)]
pub trait IntoAnswerWhen<W> {
    /// Makes the answer.
    fn into_answer(self) -> Answer;
}

#[diagnostic::do_not_recommend]
impl<T: IntoAnswer> IntoAnswerWhen<Now> for T {
    fn into_answer(self) -> Answer {
        IntoAnswer::into_answer(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoNoReply> IntoAnswerWhen<Later> for T {
    fn into_answer(self) -> Answer {
        Answer::from(self.into_no_reply())
    }
}

/// As [`IntoAnswerWhen`], for a handler whose parameter is named as a [`SocketRef`] is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` would answer the message a second time, beside the `SocketRef`",
    label = "the `SocketRef` answers",
    note = "return `()`, `Stop`, `Option<Stop>` or `Result<(), Error>`, whose error ends the channel"
)]
pub trait IntoAnswerLater<W> {
    /// Makes the answer.
    fn into_answer(self) -> Answer;
}

#[diagnostic::do_not_recommend]
impl<T: IntoAnswerWhen<W>, W> IntoAnswerLater<W> for T {
    fn into_answer(self) -> Answer {
        IntoAnswerWhen::into_answer(self)
    }
}

/// A value that a `#[handle_call]` owns beside its message: a [`Caller`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Caller`, and a handler owns only the message it handles",
    label = "a second message",
    note = "a `#[handle_call]` owns its message, and `Caller<T>` where it answers later; all else is borrowed, as in `socket: &Socket<Self>`"
)]
pub trait OwnedCaller {
    /// The reply to the caller.
    type Reply: Send + 'static;
}

impl<T: Send + 'static> OwnedCaller for Caller<T> {
    type Reply = T;
}

/// A value that a `#[terminate]` owns: the [`Reason`].
#[diagnostic::on_unimplemented(
    message = "a `#[terminate]` can own only the `Reason`: there is no message",
    label = "not the `Reason`"
)]
pub trait FromReason {
    /// Takes it.
    fn from_reason(reason: Reason) -> Self;
}

impl FromReason for Reason {
    fn from_reason(reason: Reason) -> Self {
        reason
    }
}

/// As [`FromPayload`], for a type that is named as a [`SocketRef`] is, where there is none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not available in a `{R}` handler: there is no client message to answer",
    label = "not available here",
    note = "only a `#[handle_in]` answers, by what it returns or through a `SocketRef`"
)]
pub trait FromPayloadElsewhere<R>: Sized {
    /// Decodes the payload.
    fn elsewhere(payload: Payload) -> Result<Self, PayloadError>;
}

#[diagnostic::do_not_recommend]
impl<T: FromPayload, R> FromPayloadElsewhere<R> for T {
    fn elsewhere(payload: Payload) -> Result<Self, PayloadError> {
        T::from_payload(payload)
    }
}
