use super::{Answer, Channel, IntoRefusal, IntoReply};
use crate::protocol::{Payload, Refusal};

/// The outcome of a join.
pub enum Joined<C> {
    /// The client has joined; the payload is the response of the `ok` reply.
    Accepted(C, Payload),
    /// The client gets an `error` reply.
    Refused(Refusal),
    /// No `#[join]` pattern takes this topic: the client is told `unmatched topic`.
    Unmatched,
}

/// A value that a `#[join]` can return: the channel, the channel with a response, or a `Result` of
/// these whose error becomes a [`Refusal`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the outcome of a join",
    label = "a `#[join]` returns the channel",
    note = "return `Self`, `(Self, response)`, `Result<Self, Refusal>` or `Result<(Self, response), Refusal>`"
)]
pub trait IntoJoin<C> {
    /// Converts the value.
    fn into_join(self) -> Joined<C>;
}

impl<C: Channel> IntoJoin<C> for C {
    fn into_join(self) -> Joined<C> {
        Joined::Accepted(self, Payload::empty())
    }
}

impl<C: Channel, R: IntoReply> IntoJoin<C> for (C, R) {
    fn into_join(self) -> Joined<C> {
        match Answer::ok(self.1).reply {
            Some((status, payload)) if status == super::answer::ERROR => {
                Joined::Refused(Refusal::raw(payload))
            }
            Some((_, payload)) => Joined::Accepted(self.0, payload),
            None => Joined::Accepted(self.0, Payload::empty()),
        }
    }
}

impl<C: Channel, T: IntoJoin<C>, E: IntoRefusal> IntoJoin<C> for Result<T, E> {
    fn into_join(self) -> Joined<C> {
        match self {
            Ok(accepted) => accepted.into_join(),
            Err(refusal) => Joined::Refused(refusal.into_refusal()),
        }
    }
}
