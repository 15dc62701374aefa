//! Messages from the server's own code to a channel.

use tokio::sync::oneshot;

use super::{Channel, Context, HandlerFuture, NoReply, role};

/// A message that `C` takes in a `#[handle_info]` method. `#[channel]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{C}` has no `#[handle_info]` for `{Self}`",
    label = "no handler takes this message",
    note = "add one to its `#[channel]` block: `#[handle_info] async fn name(&mut self, message: {Self})`"
)]
pub trait InfoFor<C: Channel>: Sized + Send + 'static {
    /// Runs the handler.
    fn handle<'a>(
        self,
        channel: &'a mut C,
        cx: &'a Context<'a, C, role::handle_info>,
    ) -> HandlerFuture<'a, NoReply>;
}

/// A message that `C` takes in a `#[handle_cast]` method. `#[channel]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{C}` has no `#[handle_cast]` for `{Self}`",
    label = "no handler takes this message",
    note = "add `#[handle_cast] async fn name(&mut self, message: {Self})` to its `#[channel]` block, or use `send`, which a `#[handle_info]` takes"
)]
pub trait CastFor<C: Channel>: Sized + Send + 'static {
    /// Runs the handler.
    fn handle<'a>(
        self,
        channel: &'a mut C,
        cx: &'a Context<'a, C, role::handle_cast>,
    ) -> HandlerFuture<'a, NoReply>;
}

/// A message that `C` takes in a `#[handle_call]` method. `#[channel]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{C}` has no `#[handle_call]` for `{Self}`",
    label = "no handler takes this message",
    note = "add one to its `#[channel]` block: `#[handle_call] async fn name(&mut self, message: {Self}) -> Answer`"
)]
pub trait CallFor<C: Channel>: Sized + Send + 'static {
    /// The result for the caller.
    type Reply: Send + 'static;

    /// Runs the handler.
    fn handle<'a>(
        self,
        channel: &'a mut C,
        cx: &'a Context<'a, C, role::handle_call>,
        caller: Caller<Self::Reply>,
    ) -> HandlerFuture<'a, NoReply>;
}

/// The caller that waits for the result of a call: for a `#[handle_call]` that answers later.
///
/// A `#[handle_call]` that returns the result needs none. If it is dropped without an answer, the
/// caller gets [`Error::ChannelEnded`](crate::Error::ChannelEnded). Mirrors the `from` of
/// `c:Phoenix.Channel.handle_call/3`.
#[derive(Debug)]
#[must_use = "the caller waits until this is answered or dropped"]
pub struct Caller<T>(pub(super) oneshot::Sender<T>);

impl<T> Caller<T> {
    /// Returns true if the caller has stopped waiting, so that its result need not be computed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until the caller stops waiting, to abandon long work. Cancel safe.
    pub async fn closed(&mut self) {
        self.0.closed().await;
    }

    /// Sends the result to the caller. It is no error if the caller no longer waits. Mirrors
    /// `GenServer.reply/2`.
    pub fn reply(self, result: T) {
        let _gone = self.0.send(result);
    }
}

/// A message of any type that the channel handles, as its mailbox holds it.
pub(crate) trait ServerMessage<C: Channel>: Send {
    fn run<'a>(
        self: Box<Self>,
        channel: &'a mut C,
        cx: &'a Contexts<'a, C>,
    ) -> HandlerFuture<'a, NoReply>;
}

/// The contexts of the roles that a [`ServerMessage`] may have.
pub(crate) struct Contexts<'a, C: Channel> {
    pub(crate) info: Context<'a, C, role::handle_info>,
    pub(super) cast: Context<'a, C, role::handle_cast>,
    pub(super) call: Context<'a, C, role::handle_call>,
}

pub(super) struct Info<M>(pub(super) M);
pub(super) struct Cast<M>(pub(super) M);
pub(super) struct Call<M, T>(pub(super) M, pub(super) oneshot::Sender<T>);

impl<C: Channel, M: InfoFor<C>> ServerMessage<C> for Info<M> {
    fn run<'a>(
        self: Box<Self>,
        channel: &'a mut C,
        cx: &'a Contexts<'a, C>,
    ) -> HandlerFuture<'a, NoReply> {
        self.0.handle(channel, &cx.info)
    }
}

impl<C: Channel, M: CastFor<C>> ServerMessage<C> for Cast<M> {
    fn run<'a>(
        self: Box<Self>,
        channel: &'a mut C,
        cx: &'a Contexts<'a, C>,
    ) -> HandlerFuture<'a, NoReply> {
        self.0.handle(channel, &cx.cast)
    }
}

impl<C: Channel, M: CallFor<C>> ServerMessage<C> for Call<M, M::Reply> {
    fn run<'a>(
        self: Box<Self>,
        channel: &'a mut C,
        cx: &'a Contexts<'a, C>,
    ) -> HandlerFuture<'a, NoReply> {
        self.0.handle(channel, &cx.call, Caller(self.1))
    }
}
