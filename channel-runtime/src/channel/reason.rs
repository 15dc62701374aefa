use std::borrow::Cow;

use super::{Answer, IntoReply};
use crate::protocol::Refusal;

/// The reason why a channel ends; `#[terminate]` may take it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The client left. Phoenix: `{:shutdown, :left}`.
    Left,
    /// The client's connection is gone. Phoenix: `{:shutdown, :closed}`.
    Closed,
    /// The client joined the topic again. Phoenix: `{:shutdown, :duplicate_join}`.
    Rejoined,
    /// The server is going down and drains its sockets. Phoenix: `{:shutdown, :draining}`.
    Draining,
    /// A handler stopped the channel with [`Stop::normal`]. Phoenix: `:normal`.
    Normal,
    /// A handler stopped the channel with [`Stop::shutdown`]. Phoenix: `:shutdown` and
    /// `{:shutdown, term}`.
    Shutdown(Option<Cow<'static, str>>),
    /// A handler stopped the channel with [`Stop::error`], or failed. The client gets
    /// `phx_error` and joins again.
    Error(Cow<'static, str>),
}

impl Reason {
    /// Returns true if the client gets `phx_error` rather than `phx_close`.
    pub fn is_error(&self) -> bool {
        matches!(self, Reason::Error(_))
    }
}

/// Ends the channel. A handler returns it, alone or as the `Ok` of a result.
///
/// Mirrors `{:stop, reason, socket}` and `{:stop, reason, reply, socket}`.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Game;
/// #[channel("game:*")]
/// impl Game {
///     #[join]
///     fn join() -> Self { Game }
///
///     #[handle_in("resign")]
///     fn resign(&mut self) -> Stop {
///         Stop::normal().ok("good game")
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "the channel ends only when the handler returns this"]
pub struct Stop {
    pub(super) reason: Reason,
    pub(super) answer: Answer,
}

impl Stop {
    fn because(reason: Reason) -> Self {
        Stop {
            reason,
            answer: Answer::none(),
        }
    }

    /// Ends the channel; the client gets `phx_close`.
    pub fn normal() -> Self {
        Stop::because(Reason::Normal)
    }

    /// Ends the channel as part of a larger shutdown; the client gets `phx_close`.
    pub fn shutdown() -> Self {
        Stop::because(Reason::Shutdown(None))
    }

    /// Does the same as [`Stop::shutdown`], with a text for `#[terminate]`.
    pub fn shutdown_because(why: impl Into<Cow<'static, str>>) -> Self {
        Stop::because(Reason::Shutdown(Some(why.into())))
    }

    /// Ends the channel as failed: this is logged, and the client gets `phx_error` and joins again.
    pub fn error(why: impl Into<Cow<'static, str>>) -> Self {
        Stop::because(Reason::Error(why.into()))
    }

    /// Replies `ok` before the channel ends. Ignored if there is no message to answer.
    pub fn ok(mut self, response: impl IntoReply) -> Self {
        self.answer = response.into_reply();
        self
    }

    /// Replies `error` before the channel ends. Ignored if there is no message to answer.
    pub fn refuse(mut self, refusal: impl Into<Refusal>) -> Self {
        self.answer = Answer::refuse(refusal);
        self
    }
}
