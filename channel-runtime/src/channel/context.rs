//! The values that a handler may borrow, by its role.

use std::{any::Any, marker::PhantomData};

use super::{Channel, ChannelRef, Socket, SocketRef, SocketView};
use crate::{
    connection::{ConnectInfo, FromParams, Params},
    endpoint::Endpoint,
    protocol::{FromPayload, Payload, Refusal, Term, Topic},
};

/// The roles of handlers for [`Context`] and [`Provide`], named like their attributes.
#[allow(non_camel_case_types)]
pub mod role {
    macro_rules! roles {
        ($($(#[$doc:meta])* $role:ident)*) => {$(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $role {}
        )*};
    }

    roles! {
        /// `#[connect]`
        connect
        /// `#[before_join]`
        before_join
        /// `#[join]`
        join
        /// `#[before_handle_in]`
        before_handle_in
        /// `#[handle_in]`
        handle_in
        /// `#[handle_out]`
        handle_out
        /// `#[handle_info]`
        handle_info
        /// `#[handle_call]`
        handle_call
        /// `#[handle_cast]`
        handle_cast
        /// `#[terminate]`
        terminate
        /// `#[allow_upload]`
        allow_upload
        /// `#[validate_upload]`
        validate_upload
        /// `#[handle_upload]`
        handle_upload
        /// `#[handle_progress]`
        handle_progress
    }

    /// The roles of a channel that is joined, and so has a [`Socket`](crate::Socket).
    pub trait AfterJoin {}

    /// Every role.
    pub trait Any {}

    impl<R> Any for R {}

    /// The roles of a channel from its join on, for which what its topic shares is loaded.
    pub trait SinceJoin {}

    impl SinceJoin for join {}
    impl<R: AfterJoin> SinceJoin for R {}

    impl AfterJoin for before_handle_in {}
    impl AfterJoin for handle_in {}
    impl AfterJoin for handle_out {}
    impl AfterJoin for handle_info {}
    impl AfterJoin for handle_call {}
    impl AfterJoin for handle_cast {}
    impl AfterJoin for terminate {}
    impl AfterJoin for allow_upload {}
    impl AfterJoin for validate_upload {}
    impl AfterJoin for handle_upload {}
    impl AfterJoin for handle_progress {}
}

/// Provides a `T` to the handlers of `C` that have the role `R`: the source of a `&T` parameter.
///
/// Every handler may borrow a [`Topic`], a [`ChannelRef`], the [`Endpoint`], the [`ConnectInfo`],
/// the socket type that its channel names, and that socket's state. All but `#[join]` may borrow
/// the [`Socket`]. A `#[handle_in]` that names no event, and a `#[before_handle_in]`, may borrow
/// the event's name as `&str`.
#[diagnostic::on_unimplemented(
    message = "`&{T}` is not lent to a `{R}` handler",
    label = "not lent here",
    note = "application state comes from `#[socket(state = {T})]`, to channels that name the socket; the socket comes from `#[channel(…, socket = {T})]`; a proof is listed, `proofs = [{T}]`; a message is taken by value: `{T}`"
)]
pub trait Provide<T: ?Sized, C, R> {
    /// Borrows it.
    fn provide(&self) -> &T;
}

/// Provides a `T` to a `#[connect]`, like [`Provide`].
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`&{T}` is not lent to `#[connect]`",
    label = "not lent here",
    note = "application state comes from `#[socket(state = {T})]`; `#[connect]` borrows `&ConnectInfo`, `&Params`, `&Extensions` and `&Endpoint` too; what the client sends is taken by value"
)]
pub trait ProvideToConnect<T: ?Sized, C, R> {
    /// Borrows it.
    fn provide(&self) -> &T;
}

#[diagnostic::do_not_recommend]
impl<X: Provide<T, C, R>, T: ?Sized, C, R> ProvideToConnect<T, C, R> for X {
    fn provide(&self) -> &T {
        Provide::provide(self)
    }
}

/// As [`Provide`], for a type that is named as one that is given by value.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{T}` is given, not lent: take `{T}` by value",
    label = "given by value only"
)]
pub trait ProvideGiven<T: ?Sized, C, R> {
    /// Borrows it.
    fn provide(&self) -> &T;
}

#[diagnostic::do_not_recommend]
impl<X: Provide<T, C, R>, T: ?Sized, C, R> ProvideGiven<T, C, R> for X {
    fn provide(&self) -> &T {
        Provide::provide(self)
    }
}

/// As [`Provide`], for a type that is named as one that other roles are given.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{T}` is not available in a `{R}` handler",
    label = "not available here",
    note = "a `SocketRef` answers a client in `#[handle_in]`, a `Caller` the sender in `#[handle_call]`; both are taken by value"
)]
pub trait ProvideElsewhere<T: ?Sized, C, R> {
    /// Borrows it.
    fn provide(&self) -> &T;
}

#[diagnostic::do_not_recommend]
impl<X: Provide<T, C, R>, T: ?Sized, C, R> ProvideElsewhere<T, C, R> for X {
    fn provide(&self) -> &T {
        Provide::provide(self)
    }
}

/// As [`Provide`], for a type that is named as the channel's [`Socket`], before there is one.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`Socket` is not available in a `{R}` handler: nothing can be pushed before the client is in",
    label = "there is no socket yet",
    note = "take `me: &ChannelRef<Self>` and send yourself a message"
)]
pub trait ProvideBeforeJoin<T: ?Sized, C, R> {
    /// Borrows it.
    fn provide(&self) -> &T;
}

#[diagnostic::do_not_recommend]
impl<X: Provide<T, C, R>, T: ?Sized, C, R> ProvideBeforeJoin<T, C, R> for X {
    fn provide(&self) -> &T {
        Provide::provide(self)
    }
}

/// As [`FromPayload`] and [`FromParams`], for a type that is named as one that is lent.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is lent, not given: a client cannot send one",
    label = "lent by reference only",
    note = "take it by reference: `&{Self}`"
)]
pub trait Given<From>: Sized {
    /// Decodes the client's value.
    fn given(from: From) -> Result<Self, Refusal>;
}

#[diagnostic::do_not_recommend]
impl<T: FromPayload> Given<Payload> for T {
    fn given(payload: Payload) -> Result<Self, Refusal> {
        T::from_payload(payload).map_err(Into::into)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromParams> Given<&Params> for T {
    fn given(params: &Params) -> Result<Self, Refusal> {
        T::from_params(params).map_err(Into::into)
    }
}

/// The source of the values that one call of a handler borrows.
pub struct Context<'a, C: Channel, R> {
    socket: &'a Socket<C>,
    event: &'a str,
    reference: &'a Term,
    /// The subject of the handler, if it is neither an event nor a message.
    #[allow(dead_code, reason = "used by extensions, each behind a feature")]
    about: &'a (dyn Any + Send + Sync),
    role: PhantomData<R>,
}

impl<'a, C: Channel, R> Context<'a, C, R> {
    pub(crate) fn new(socket: &'a Socket<C>) -> Self {
        Context {
            socket,
            event: "",
            reference: &Term::Null,
            about: &(),
            role: PhantomData,
        }
    }

    /// For a handler of another part of the crate, with what it is about.
    #[allow(dead_code, reason = "used by extensions, each behind a feature")]
    pub(crate) fn about<T: Any + Send + Sync>(socket: &'a Socket<C>, about: &'a T) -> Self {
        Context {
            about,
            ..Context::new(socket)
        }
    }

    /// Returns the subject that [`Context::about`] was given.
    #[allow(dead_code, reason = "used by extensions, each behind a feature")]
    pub(crate) fn subject<T: Any>(&self) -> Option<&'a T> {
        self.about.downcast_ref()
    }

    pub(super) fn for_event(socket: &'a Socket<C>, event: &'a str, reference: &'a Term) -> Self {
        Context {
            socket,
            event,
            reference,
            about: &(),
            role: PhantomData,
        }
    }

    /// Returns the joined channel, for [`Proof`](super::Proof)s.
    #[doc(hidden)]
    pub fn socket(&self) -> &'a Socket<C> {
        self.socket
    }

    /// Returns the event that is handled; empty in the roles that have none.
    pub fn event(&self) -> &str {
        self.event
    }

    /// Returns the channel's topic.
    pub fn topic(&self) -> &Topic {
        self.socket.topic()
    }

    /// Returns the socket that `socket = …` names.
    pub fn user(&self) -> &C::Socket {
        self.socket.user()
    }

    /// Returns the state that the `#[socket(state = …)]` of that socket names.
    pub fn state(&self) -> &<C::Socket as SocketView>::State {
        self.socket.state()
    }
}

impl<C: Channel, R: role::SinceJoin> Context<'_, C, R> {
    /// Returns the state that the channels of the topic share on this node.
    pub fn shared(&self) -> &C::Shared {
        self.socket.shared()
    }
}

impl<C: Channel> Context<'_, C, role::handle_in> {
    /// Returns the reference for answering the message later. Mirrors
    /// `Phoenix.Channel.socket_ref/1`.
    pub fn socket_ref(&self) -> SocketRef {
        self.socket.reply_to(self.reference)
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel, R> Provide<Topic, C, R> for Context<'_, C, R> {
    fn provide(&self) -> &Topic {
        self.socket.topic()
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel, R> Provide<ChannelRef<C>, C, R> for Context<'_, C, R> {
    fn provide(&self) -> &ChannelRef<C> {
        self.socket.channel_ref()
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel, R> Provide<Endpoint, C, R> for Context<'_, C, R> {
    fn provide(&self) -> &Endpoint {
        self.socket.endpoint()
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel, R> Provide<ConnectInfo, C, R> for Context<'_, C, R> {
    fn provide(&self) -> &ConnectInfo {
        self.socket.connect_info()
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel, R: role::AfterJoin> Provide<Socket<C>, C, R> for Context<'_, C, R> {
    fn provide(&self) -> &Socket<C> {
        self.socket
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel> Provide<str, C, role::before_handle_in>
    for Context<'_, C, role::before_handle_in>
{
    fn provide(&self) -> &str {
        self.event
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel> Provide<str, C, role::handle_in> for Context<'_, C, role::handle_in> {
    fn provide(&self) -> &str {
        self.event
    }
}
