//! What a channel is told, by its client, by broadcasts and by the server's own code.

use tokio::sync::oneshot;

use super::{CallFor, Caller, CastFor, Channel, Context, Flow, InfoFor, Step, role};
use crate::{
    connection::{Heard, Share},
    protocol::{Broadcast, Message, Term},
};

/// What a channel is told.
pub(super) enum Letter<C: Channel> {
    /// A client's message.
    Push(
        Message,
        /// Where it has waited.
        #[expect(dead_code, reason = "given back when it is dropped")]
        Option<Share>,
    ),
    /// The client leaves; the ref of its message.
    Leave(Term),
    /// An intercepted broadcast.
    Broadcast(
        Broadcast,
        /// Where it has waited.
        #[expect(dead_code, reason = "given back when it is dropped")]
        Heard,
    ),
    /// A message from the server's own code, until it is handled; of a broadcast, where it has
    /// waited.
    Errand(Option<Box<dyn Errand<C>>>, Option<Heard>),
    /// The connection is gone.
    Closed,
}

impl<C: Channel> Letter<C> {
    /// Whether it is one of those whose number is limited.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self, Letter::Errand(_, None))
    }

    pub(super) fn errand(errand: Box<dyn Errand<C>>) -> Self {
        Letter::Errand(Some(errand), None)
    }
}

/// A message of a type that the channel knows: info, cast or call.
pub(crate) trait Errand<C: Channel>: Send {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow>;
}

/// The contexts of the roles an [`Errand`] may have.
pub(crate) struct Contexts<'a, C: Channel> {
    pub(crate) info: Context<'a, C, role::handle_info>,
    pub(super) cast: Context<'a, C, role::handle_cast>,
    pub(super) call: Context<'a, C, role::handle_call>,
}

pub(super) struct Info<M>(pub(super) M);
pub(super) struct Cast<M>(pub(super) M);
pub(super) struct Call<M, T>(pub(super) M, pub(super) oneshot::Sender<T>);

impl<C: Channel, M: InfoFor<C>> Errand<C> for Info<M> {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow> {
        self.0.handle(channel, &cx.info)
    }
}

impl<C: Channel, M: CastFor<C>> Errand<C> for Cast<M> {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow> {
        self.0.handle(channel, &cx.cast)
    }
}

impl<C: Channel, M: CallFor<C>> Errand<C> for Call<M, M::Reply> {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow> {
        self.0.handle(channel, &cx.call, Caller(self.1))
    }
}
