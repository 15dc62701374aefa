//! The state of a socket: all of the application's state, or a part of it.

use std::sync::Arc;

use axum::extract::FromRef;

use super::ChannelSocket;
use crate::channel::NoState;

/// A socket that can be served with the state `S`: its own state is `S`, or [`FromRef`] takes it
/// from `S`. A socket without state can be served with any.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has a state that cannot be taken from `{S}`",
    label = "its state is another type",
    note = "`.with_state(…)` takes what `#[socket(state = …)]` names, which is `Clone`, or what has it as a part: `impl FromRef<{S}>` for the part, as in axum"
)]
pub trait StateFrom<S>: ChannelSocket {
    #[doc(hidden)]
    fn state_from(state: &S) -> Arc<<Self as ChannelSocket>::State>;
}

#[diagnostic::do_not_recommend]
impl<K: ChannelSocket, S> StateFrom<S> for K
where
    <K as ChannelSocket>::State: FromRef<S>,
{
    fn state_from(state: &S) -> Arc<<K as ChannelSocket>::State> {
        Arc::new(FromRef::from_ref(state))
    }
}

impl<S> FromRef<S> for NoState {
    fn from_ref(_: &S) -> NoState {
        NoState
    }
}

/// A state that `()` can provide. A missing state cannot be taken from nothing.
#[diagnostic::on_unimplemented(
    message = "the state of the endpoint's sockets is missing: `{S}`",
    label = "built without its state",
    note = "give it last: `.with_state(…).build()`"
)]
pub trait Supplies<S> {
    #[doc(hidden)]
    fn supply(self) -> S;
}

#[diagnostic::do_not_recommend]
impl Supplies<()> for () {
    fn supply(self) {}
}
