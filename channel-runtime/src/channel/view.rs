//! A channel's view of its socket and of the application's state.

use std::sync::Arc;

use super::Channel;

/// A socket that `#[channel(socket = …)]` can name. A channel that names none has `()`, and belongs
/// to every socket.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a socket",
    label = "not a socket",
    note = "annotate an impl block of it: `#[socket(channels = […])] impl {Self} {{ … }}`"
)]
pub trait SocketView: Sized + Send + Sync + 'static {
    /// The application's state, which `#[socket(state = …)]` names.
    type State: Send + Sync + 'static;

    /// The part that each channel keeps of its connection.
    #[doc(hidden)]
    type Held: Clone + Send + Sync + 'static;

    #[doc(hidden)]
    fn socket(held: &Self::Held) -> &Self;

    #[doc(hidden)]
    fn state(held: &Self::Held) -> &Self::State;
}

/// The state of a socket whose `#[socket]` names none: no data.
// Not `Clone`: a `Clone` state comes from itself by `FromRef`, and this comes from any state.
#[derive(Debug)]
pub struct NoState;

impl SocketView for () {
    type State = NoState;
    type Held = ();

    fn socket(held: &()) -> &() {
        held
    }

    fn state(_: &()) -> &NoState {
        &NoState
    }
}

/// One connection's socket, with the state that all connections share.
pub struct Connected<S: SocketView> {
    socket: S,
    state: Arc<S::State>,
}

impl<S: SocketView> Connected<S> {
    pub(crate) fn new(socket: S, state: Arc<S::State>) -> Self {
        Connected { socket, state }
    }

    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }

    pub(crate) fn state(&self) -> &S::State {
        &self.state
    }
}

/// A channel that clients of the socket `S` can join. `#[channel]` implements it: for the socket
/// that it names, or for every socket if it names none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a channel of `{S}`",
    label = "not a channel of this socket",
    note = "its `#[channel(…)]` block names the socket it belongs to: `socket = {S}`"
)]
pub trait ChannelOf<S: SocketView>: Channel {
    /// Returns the part of the socket that the channel's handlers see.
    #[doc(hidden)]
    fn held(socket: &S::Held) -> <Self::Socket as SocketView>::Held;
}

#[diagnostic::do_not_recommend]
impl<C: Channel, S: SocketView> ChannelOf<S> for C
where
    C::Socket: SeenOf<S>,
{
    fn held(socket: &S::Held) -> <Self::Socket as SocketView>::Held {
        C::Socket::seen_of(socket)
    }
}

/// The view that a channel has of a socket `S`: all of it, or nothing.
pub trait SeenOf<S: SocketView>: SocketView {
    /// Returns the view.
    #[doc(hidden)]
    fn seen_of(socket: &S::Held) -> Self::Held;
}

/// A channel that names no socket belongs to every one.
impl<S: SocketView> SeenOf<S> for () {
    fn seen_of(_: &S::Held) {}
}
