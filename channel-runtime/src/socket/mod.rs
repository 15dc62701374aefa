//! Sockets: one connection of a client, and the channels it has joined.

mod channels_handler;
mod const_check;
mod mount;
mod path;
mod session;
mod state;

use std::{collections::BTreeSet, sync::Arc};

use axum::http::Extensions;

#[cfg(feature = "test")]
pub(crate) use self::mount::TestState;
pub(crate) use self::mount::{Mount, MountOf, Mounts, check_path, guarded};
pub use self::{
    const_check::{check_event, check_intercepted, check_owned, check_route},
    mount::RouteInfo,
    state::{StateFrom, Supplies},
};
use crate::{
    channel::{
        ChannelExtension, ChannelHandle, ChannelOf, Connected, HandlerFuture, IntoRefusal, Provide,
        SeenOf, SocketView, Start, role, start,
    },
    connection::{ConnectInfo, ConnectRequest, Params},
    endpoint::Endpoint,
    error::ConfigError,
    options::SocketOptions,
    protocol::{Refusal, pattern_matches},
};

/// A socket that multiplexes channels; `#[socket]` implements it.
///
/// Its `#[connect]` makes one value of the type for each connection, and the handlers of its
/// channels borrow it. Mirrors the `Phoenix.Socket` behaviour.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a socket",
    label = "not a socket",
    note = "annotate an impl block of it: `#[socket(channels = […])] impl {Self} {{ … }}`"
)]
pub trait ChannelSocket: Sized + Send + Sync + 'static {
    /// The application's state, which `#[connect]` and the handlers of this socket's channels can
    /// borrow: the type in `#[socket(state = …)]`, or [`NoState`](crate::handler::NoState) without one.
    type State: Send + Sync + 'static;

    /// The type's name, for logs.
    const NAME: &'static str;

    /// Accepts a client, or refuses it. Mirrors `c:Phoenix.Socket.connect/3`.
    ///
    /// # Errors
    ///
    /// The refusal of what its handler cannot be called with.
    fn connect<'a>(
        cx: &'a ConnectContext<'a, Self>,
        params: &'a Params,
    ) -> Result<HandlerFuture<'a, Result<Self, Refusal>>, Refusal>;

    /// Returns the id of the connection, by which [`Endpoint::disconnect`] can end it. Mirrors
    /// `c:Phoenix.Socket.id/1`.
    fn id(&self) -> Option<String> {
        None
    }

    /// Returns the channels that clients can join, in the order in which they are tried.
    fn routes() -> Vec<Route<Self>>;
}

#[diagnostic::do_not_recommend]
impl<S: ChannelSocket> SocketView for S {
    type State = <S as ChannelSocket>::State;
    type Held = Arc<Connected<S>>;

    fn socket(held: &Self::Held) -> &Self {
        held.socket()
    }

    fn state(held: &Self::Held) -> &<S as ChannelSocket>::State {
        held.state()
    }
}

impl<S: ChannelSocket> SeenOf<S> for S {
    fn seen_of(socket: &Arc<Connected<S>>) -> Arc<Connected<S>> {
        Arc::clone(socket)
    }
}

/// One channel of a socket. Mirrors `Phoenix.Socket.channel/3`.
pub struct Route<S: SocketView> {
    channel: &'static str,
    topics: &'static [&'static str],
    takes_uploads: bool,
    #[cfg(feature = "serve")]
    open_files: fn(&Endpoint) -> usize,
    check: fn(&SocketOptions) -> Result<(), ConfigError>,
    start: fn(Start, &S::Held) -> ChannelHandle,
}

impl<S: SocketView> Route<S> {
    /// Creates a route by which clients of `S` may join `C`.
    pub const fn to<C: ChannelOf<S>>() -> Self {
        Route {
            channel: C::NAME,
            topics: C::TOPICS,
            takes_uploads: <C::Extension as ChannelExtension<C>>::TAKES_UPLOADS,
            #[cfg(feature = "serve")]
            open_files: <C::Extension as ChannelExtension<C>>::open_files,
            check: <C::Extension as ChannelExtension<C>>::check,
            start: start::<S, C>,
        }
    }

    pub(crate) fn takes(&self, topic: &str) -> bool {
        self.topics
            .iter()
            .any(|pattern| pattern_matches(pattern, topic))
    }

    /// Returns the channel's name.
    pub const fn channel(&self) -> &'static str {
        self.channel
    }

    /// Returns true if the channel takes uploads.
    pub const fn takes_uploads(&self) -> bool {
        self.takes_uploads
    }

    pub(crate) fn check(&self, options: &SocketOptions) -> Result<(), ConfigError> {
        (self.check)(options)
    }

    /// Returns the channel's topic patterns.
    pub const fn topics(&self) -> &'static [&'static str] {
        self.topics
    }
}

/// The values that a `#[connect]` may borrow: the [`ConnectInfo`], the [`Params`], the
/// [`Endpoint`], the request's [`Extensions`], and the application's state if `#[socket(state =
/// …)]` names one.
pub struct ConnectContext<'a, S: ChannelSocket> {
    pub(crate) request: &'a ConnectRequest,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) state: &'a <S as ChannelSocket>::State,
}

impl<S: ChannelSocket> ConnectContext<'_, S> {
    /// Returns the state that `#[socket(state = …)]` names.
    pub fn state(&self) -> &<S as ChannelSocket>::State {
        self.state
    }
}

#[diagnostic::do_not_recommend]
impl<S: ChannelSocket> Provide<ConnectInfo, S, role::connect> for ConnectContext<'_, S> {
    fn provide(&self) -> &ConnectInfo {
        &self.request.info
    }
}

#[diagnostic::do_not_recommend]
impl<S: ChannelSocket> Provide<Params, S, role::connect> for ConnectContext<'_, S> {
    fn provide(&self) -> &Params {
        &self.request.params
    }
}

#[diagnostic::do_not_recommend]
impl<S: ChannelSocket> Provide<Extensions, S, role::connect> for ConnectContext<'_, S> {
    fn provide(&self) -> &Extensions {
        &self.request.extensions
    }
}

#[diagnostic::do_not_recommend]
impl<S: ChannelSocket> Provide<Endpoint, S, role::connect> for ConnectContext<'_, S> {
    fn provide(&self) -> &Endpoint {
        self.endpoint
    }
}

/// A value that a `#[connect]` can return: the socket, or a `Result` of it whose error becomes a
/// [`Refusal`]; an `Option`'s `None` refuses without a reason.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the outcome of a connect",
    label = "a `#[connect]` returns the socket",
    note = "return `Self`, `Option<Self>` or `Result<Self, Refusal>`"
)]
pub trait IntoConnect<S> {
    /// Converts the value.
    ///
    /// # Errors
    ///
    /// Returns the refusal.
    fn into_connect(self) -> Result<S, Refusal>;
}

impl<S: ChannelSocket> IntoConnect<S> for S {
    fn into_connect(self) -> Result<S, Refusal> {
        Ok(self)
    }
}

impl<S: ChannelSocket> IntoConnect<S> for Option<S> {
    fn into_connect(self) -> Result<S, Refusal> {
        self.ok_or_else(Refusal::empty)
    }
}

impl<S: ChannelSocket, E: IntoRefusal> IntoConnect<S> for Result<S, E> {
    fn into_connect(self) -> Result<S, Refusal> {
        self.map_err(IntoRefusal::into_refusal)
    }
}

/// A value that an `#[id]` can return: text, or an `Option` of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a socket id",
    label = "not an id",
    note = "return `Option<String>`, `String` or `&str`"
)]
pub trait IntoSocketId {
    /// Converts the value.
    fn into_socket_id(self) -> Option<String>;
}

impl IntoSocketId for String {
    fn into_socket_id(self) -> Option<String> {
        Some(self)
    }
}

impl IntoSocketId for &str {
    fn into_socket_id(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl<T: IntoSocketId> IntoSocketId for Option<T> {
    fn into_socket_id(self) -> Option<String> {
        self.and_then(IntoSocketId::into_socket_id)
    }
}

/// Returns the patterns of all routes, each once.
pub(crate) fn patterns<S: SocketView>(
    routes: &[Route<S>],
) -> BTreeSet<(&'static str, &'static str)> {
    let mut patterns = BTreeSet::new();
    for route in routes {
        patterns.extend(route.topics.iter().map(|topic| (*topic, route.channel)));
    }
    patterns
}
