//! A handler's view of its channel, [`Socket`], and the channel's address, [`ChannelRef`].

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::Stream;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    CallFor, CastFor, Channel, ChannelExtension, InfoFor, IntoPush, Mailbox, PushStream, Request,
    SharedPart, SocketRef, SocketView, Stop, TimerRef,
    call::{Call, Cast, Info, ServerMessage},
    mailbox::Command,
    request,
};
use crate::{
    connection::{ClientSender, ConnectInfo},
    endpoint::Endpoint,
    error::Error,
    protocol::{Broadcast, Event, FromPayload, JsonEvent, Term, Topic},
    pubsub::{FnSubscriber, SubscriberId, Subscription},
};

/// An event that the channel `C` sends: declared by `#[channel(pushes = […])]`.
#[diagnostic::on_unimplemented(
    message = "`{C}` does not declare that it pushes `{Self}`",
    label = "not among the channel's events",
    note = "add it: `#[channel(…, pushes = [{Self}])]`; an event is a type that derives `Event`, its name is not enough"
)]
pub trait PushedBy<C>: Event {}

/// A joined channel as its handlers see it: pushes, broadcasts, subscriptions and timers.
///
/// Every handler but `#[join]` may borrow it as `&Socket<Self>`, so nothing can be pushed before
/// the client has joined. Mirrors `Phoenix.Socket` and the functions of `Phoenix.Channel` that take
/// one.
pub struct Socket<C: Channel> {
    me: ChannelRef<C>,
    user: <C::Socket as SocketView>::Held,
    info: Arc<ConnectInfo>,
    endpoint: Endpoint,
    /// The subscription to its own topic.
    subscription: Mutex<Option<Subscription>>,
    /// The subscriptions to further topics.
    subscriptions: Mutex<Vec<Subscription>>,
    extension: C::Extension,
    shared: C::Shared,
}

impl<C: Channel> Socket<C> {
    pub(super) fn new(
        me: ChannelRef<C>,
        user: <C::Socket as SocketView>::Held,
        info: Arc<ConnectInfo>,
        endpoint: Endpoint,
    ) -> Self {
        Socket {
            me,
            user,
            info,
            endpoint,
            subscription: Mutex::default(),
            subscriptions: Mutex::default(),
            extension: C::Extension::default(),
            shared: C::Shared::new(),
        }
    }

    /// Returns the channel's topic.
    pub fn topic(&self) -> &Topic {
        self.me.topic()
    }

    /// Returns the socket's own state: the value that `#[connect]` returned.
    pub fn user(&self) -> &C::Socket {
        C::Socket::socket(&self.user)
    }

    /// Returns what the channels of the topic share on this node, as `#[channel(shared = …)]` names it.
    pub fn shared(&self) -> &C::Shared {
        &self.shared
    }

    /// Leaves the topic's shared state.
    pub(super) fn release(&mut self) {
        self.shared.release();
    }

    /// Returns the application's state, which the `#[socket(state = …)]` of the channel's socket
    /// names.
    pub fn state(&self) -> &<C::Socket as SocketView>::State {
        C::Socket::state(&self.user)
    }

    /// Returns the details of the client's connection.
    pub fn connect_info(&self) -> &ConnectInfo {
        &self.info
    }

    /// Returns the endpoint that the socket is mounted at, to broadcast to other topics.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the channel's address for other tasks.
    pub fn channel_ref(&self) -> &ChannelRef<C> {
        &self.me
    }

    /// Sends an event to this client only. Mirrors `Phoenix.Channel.push/3`.
    ///
    /// The socket's [`SlowConsumer`](crate::SlowConsumer) policy handles a client that reads too
    /// slowly; this is no error here.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Encode`], before anything reaches the client.
    pub fn push<E: PushedBy<C> + ?Sized>(&self, event: &E) -> Result<(), Error> {
        let payload = event.to_payload()?;
        self.client()
            .push(self.join_ref(), self.topic(), E::NAME, &payload)?;
        Ok(())
    }

    /// Asks the client, and waits for its answer for at most `limit`.
    ///
    /// The command is pushed with a ref. The client answers with an ordinary push of the event
    /// `reply:` and that ref, whose payload is the answer; with the official client:
    ///
    /// ```js
    /// channel.on("reboot", ({ delay }, ref) => {
    ///   channel.push(`reply:${ref}`, { rebooted: true })
    /// })
    /// ```
    ///
    /// ```
    /// # use channel_runtime::{RequestError, prelude::*};
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// #[derive(Serialize, Event)]
    /// #[event("reboot")]
    /// struct Reboot { delay: u32 }
    ///
    /// #[derive(Deserialize)]
    /// struct Rebooted { rebooted: bool }
    ///
    /// # pub struct Device;
    /// # #[channel("device:*", pushes = [Reboot])]
    /// # impl Device {
    /// # #[join] fn join() -> Self { Device }
    /// #[handle_in("update")]
    /// async fn update(&mut self, socket: &Socket<Self>) -> Reply<bool> {
    ///     let limit = Duration::from_secs(5);
    ///     let answer: Rebooted = socket.request(&Reboot { delay: 3 }, limit).await?;
    ///     Ok(answer.rebooted)
    /// }
    /// # }
    /// ```
    ///
    /// An answer bypasses the channel's mailbox, so a handler may wait for its own client. The
    /// channel handles no other message meanwhile: if that matters, ask from another task, through
    /// [`ChannelRef::request`]. The answer waits only if so many of the client's messages wait that
    /// its connection is not read.
    ///
    /// The client's push is answered with `ok`; with `invalid payload` if the answer does not fit,
    /// which ends the request; or with `no request waits` if it comes too late, or twice. Dropping
    /// the future abandons the request. 64 requests of a channel may wait at once, and a further
    /// one waits for a place.
    ///
    /// Phoenix has no counterpart.
    ///
    /// # Errors
    ///
    /// Returns a [`RequestError`](crate::RequestError). As a [`Refusal`](crate::Refusal), its
    /// reason is `no answer`.
    pub fn request<Q, A>(&self, command: &Q, limit: Duration) -> Request<'_, A>
    where
        Q: PushedBy<C> + JsonEvent + ?Sized,
        A: FromPayload + Send + 'static,
    {
        self.me.request(command, limit)
    }

    /// Creates an answer that is a stream, for a `#[handle_in]` to return. Its items are pushes,
    /// its end is the reply.
    ///
    /// ```
    /// # use channel_runtime::prelude::*;
    /// # use serde::Serialize;
    /// #[derive(Serialize, Event)]
    /// #[event("entry")]
    /// struct Entry { number: u32 }
    ///
    /// # pub struct Log;
    /// # #[channel("log:*", pushes = [Entry])]
    /// # impl Log {
    /// # #[join] fn join() -> Self { Log }
    /// #[handle_in("history")]
    /// fn history(&mut self, since: u32, socket: &Socket<Self>) -> PushStream {
    ///     let entries = (since..since + 1000).map(|number| Entry { number });
    ///     socket
    ///         .stream(futures_util::stream::iter(entries))
    ///         .reply(|pushed| pushed)
    /// }
    /// # }
    /// ```
    ///
    /// The items are events of `pushes`, or `Result`s of one: the first error ends the stream with
    /// an error reply. The stream is polled only while less than half of the client's outbox waits.
    /// It runs beside the channel, which handles other messages meanwhile. A channel may run 16
    /// streams at once; a further one is refused: `too many streams`. A channel that ends drops its
    /// streams.
    pub fn stream<S>(&self, items: S) -> PushStream
    where
        S: Stream<Item: IntoPush<C>> + Send + 'static,
    {
        PushStream::new(self, items)
    }

    /// Forwards a received broadcast to this client, under this channel's topic: for the
    /// [`Broadcast`]s of a further topic.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Encode`] if the client's serializer cannot carry it.
    pub fn forward(&self, broadcast: &Broadcast) -> Result<(), Error> {
        self.client().push(
            self.join_ref(),
            self.topic(),
            broadcast.event(),
            broadcast.payload(),
        )?;
        Ok(())
    }

    /// Sends an event to all subscribers of the topic, this client included, on every node.
    /// Mirrors `Phoenix.Channel.broadcast/3`.
    ///
    /// The subscribers of this node get it before anything waits. Cancel safe: an event that was
    /// sent was sent to all.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Encode`] before any subscriber gets the event, or [`Error::Publish`] if
    /// other nodes may not have got it: see [`pubsub`](crate::pubsub).
    pub async fn broadcast<E: PushedBy<C> + ?Sized>(&self, event: &E) -> Result<(), Error> {
        self.endpoint
            .publish(None, self.topic().clone(), event)
            .await
    }

    /// Does the same as [`Socket::broadcast`], but leaves this channel out. Mirrors
    /// `Phoenix.Channel.broadcast_from/3`.
    ///
    /// # Errors
    ///
    /// Returns those of [`Socket::broadcast`].
    pub async fn broadcast_from<E: PushedBy<C> + ?Sized>(&self, event: &E) -> Result<(), Error> {
        self.endpoint
            .publish(Some(self.me.id()), self.topic().clone(), event)
            .await
    }

    /// Does the same as [`Socket::broadcast`], for the subscribers of this node only. Mirrors
    /// `Phoenix.PubSub.local_broadcast/4`.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Encode`] if the event cannot be encoded.
    pub fn local_broadcast<E: PushedBy<C> + ?Sized>(&self, event: &E) -> Result<(), Error> {
        self.endpoint
            .publish_local(None, self.topic().clone(), event)
    }

    /// Does the same as [`Socket::broadcast_from`], for the subscribers of this node only. Mirrors
    /// `Phoenix.PubSub.local_broadcast_from/5`.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Encode`] if the event cannot be encoded.
    pub fn local_broadcast_from<E: PushedBy<C> + ?Sized>(&self, event: &E) -> Result<(), Error> {
        self.endpoint
            .publish_local(Some(self.me.id()), self.topic().clone(), event)
    }

    /// Subscribes the channel to a further topic: its broadcasts arrive in the `#[handle_info]`
    /// that takes a [`Broadcast`]. A second subscription has no effect. Mirrors
    /// `Phoenix.Endpoint.subscribe/2`.
    ///
    /// The channel's own topic needs no subscription, and gets none. Broadcasts of other nodes may
    /// take a moment to arrive: see [`Socket::subscribe_confirmed`].
    pub fn subscribe(&self, topic: impl Into<Topic>)
    where
        Broadcast: InfoFor<C>,
    {
        self.subscribe_to(topic.into());
    }

    /// Does the same as [`Socket::subscribe`], and waits, for at most one second, until broadcasts
    /// of other nodes are sure to arrive: none that they send after this is missed. Returns at once
    /// if there are no other nodes or they are out of reach. Cancel safe: the subscription stays.
    pub async fn subscribe_confirmed(&self, topic: impl Into<Topic>)
    where
        Broadcast: InfoFor<C>,
    {
        let topic = topic.into();
        self.subscribe_to(topic.clone());
        self.endpoint.pubsub().confirmed(&topic).await;
    }

    fn subscribe_to(&self, topic: Topic)
    where
        Broadcast: InfoFor<C>,
    {
        let mut subscriptions = self.subscriptions.lock();
        if topic == *self.topic() || subscriptions.iter().any(|held| *held.topic() == topic) {
            return;
        }
        let mailbox = Arc::downgrade(self.mailbox());
        let relay = FnSubscriber::new(move |broadcast: &Broadcast| {
            let Some(mailbox) = mailbox.upgrade() else {
                return;
            };
            mailbox.try_broadcast(broadcast, |broadcast, heard| {
                Command::Server(Some(Box::new(Info(broadcast))), Some(heard))
            });
        });
        subscriptions.push(
            self.endpoint
                .pubsub()
                .subscribe(topic, self.me.id(), Arc::new(relay)),
        );
    }

    /// Ends a subscription made with [`Socket::subscribe`]. Mirrors
    /// `Phoenix.Endpoint.unsubscribe/1`.
    pub fn unsubscribe(&self, topic: &str) {
        self.subscriptions
            .lock()
            .retain(|held| held.topic().as_str() != topic);
    }

    /// Sends the channel a message after `delay`, unless it has ended by then. Mirrors
    /// `Process.send_after/3`.
    pub fn send_after<M: InfoFor<C>>(&self, delay: Duration, message: M) -> TimerRef {
        self.me.send_after(delay, message)
    }

    /// Sends the channel a message every `period`, the first after one period, until it ends.
    /// Ticks that a busy channel misses are skipped. Mirrors `:timer.send_interval/2`.
    ///
    /// # Panics
    ///
    /// Panics if `period` is zero. A period that no process outlives, such as [`Duration::MAX`],
    /// never ticks.
    #[track_caller]
    pub fn interval<M: InfoFor<C> + Clone>(&self, period: Duration, message: M) -> TimerRef {
        self.me.interval(period, message)
    }

    pub(crate) fn client(&self) -> &ClientSender {
        &self.me.0.client
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox<C>> {
        &self.me.0
    }

    pub(crate) fn join_ref(&self) -> &Term {
        &self.me.0.join_ref
    }

    pub(super) fn reply_to(&self, reference: &Term) -> SocketRef {
        let (topic, join_ref) = (self.topic().clone(), self.join_ref().clone());
        SocketRef::new(self.client().clone(), topic, join_ref, reference.clone())
    }

    pub(super) fn keep(&self, subscription: Subscription) {
        *self.subscription.lock() = Some(subscription);
    }

    /// Returns the part that the crate adds to the channel.
    #[allow(dead_code, reason = "used by extensions, each behind a feature")]
    pub(crate) fn extension(&self) -> &C::Extension {
        &self.extension
    }

    /// Ends broadcasts, ticks and uploads. The connection may be `gone`.
    pub(super) fn detach(&self, gone: bool) {
        let own = self.subscription.lock().take();
        let subscriptions = std::mem::take(&mut *self.subscriptions.lock());
        drop((own, subscriptions));
        self.mailbox().timers.end();
        self.extension.ended(gone);
    }
}

impl<C: Channel> fmt::Debug for Socket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("channel", &C::NAME)
            .field("topic", self.topic())
            .finish()
    }
}

/// The address of a channel: sends it messages from any task, typed by the handlers of its
/// `#[channel]` block. Cheap to clone; it does not keep the channel alive.
pub struct ChannelRef<C: Channel>(Arc<Mailbox<C>>);

impl<C: Channel> ChannelRef<C> {
    pub(super) fn new(mailbox: Arc<Mailbox<C>>) -> Self {
        ChannelRef(mailbox)
    }

    /// Returns the channel's id in PubSub: see [`Endpoint::broadcast_from`].
    pub fn id(&self) -> SubscriberId {
        self.0.id
    }

    /// Returns the channel's topic.
    pub fn topic(&self) -> &Topic {
        &self.0.topic
    }

    /// Sends a message to the channel's `#[handle_info]`, without an outcome: it is lost if the
    /// channel has ended, and lost with a warning if the mailbox is full. Mirrors `send/2`.
    /// [`ChannelRef::cast`] returns an error in both cases.
    pub fn send<M: InfoFor<C>>(&self, message: M) {
        self.0.send(Box::new(Info(message)));
    }

    /// Sends a message to the channel's `#[handle_cast]`. Mirrors `GenServer.cast/2`.
    ///
    /// # Errors
    ///
    /// Returns [`Error::ChannelEnded`] or [`Error::MailboxFull`].
    pub fn cast<M: CastFor<C>>(&self, message: M) -> Result<(), Error> {
        self.0.try_send(Box::new(Cast(message)))?;
        Ok(())
    }

    /// Sends a message to the channel's `#[handle_call]` and waits for its result. Mirrors
    /// `GenServer.call/2`, without a timeout: wrap it in [`tokio::time::timeout`].
    ///
    /// Cancel safe: the channel handles the message even if the caller no longer waits. A channel
    /// that calls itself waits for ever.
    ///
    /// # Errors
    ///
    /// Returns [`Error::ChannelEnded`], also if the channel ends before it answers, or
    /// [`Error::MailboxFull`].
    pub async fn call<M: CallFor<C>>(&self, message: M) -> Result<M::Reply, Error> {
        let (caller, reply) = oneshot::channel();
        self.0.try_send(Box::new(Call(message, caller)))?;
        reply.await.map_err(|_| Error::ChannelEnded)
    }

    /// Asks the channel's client, from any task: see [`Socket::request`].
    ///
    /// # Errors
    ///
    /// Returns a [`RequestError`](crate::RequestError): at once if the client has not joined yet or
    /// has left.
    pub fn request<Q, A>(&self, command: &Q, limit: Duration) -> Request<'_, A>
    where
        Q: PushedBy<C> + JsonEvent + ?Sized,
        A: FromPayload + Send + 'static,
    {
        let payload = command.to_payload();
        let push = move |reference: &str| {
            let (client, join_ref) = (&self.0.client, &self.0.join_ref);
            let payload = payload?;
            client.push_with_ref(join_ref, &reference.into(), self.topic(), Q::NAME, &payload)
        };
        request::request::<C, A>(&self.0.requests, push, limit)
    }

    /// Sends the channel a message after `delay`: see [`Socket::send_after`].
    pub fn send_after<M: InfoFor<C>>(&self, delay: Duration, message: M) -> TimerRef {
        self.0.timers.after(self.weak(), delay, message)
    }

    /// Sends the channel a message every `period`: see [`Socket::interval`].
    ///
    /// # Panics
    ///
    /// Panics if `period` is zero.
    #[track_caller]
    pub fn interval<M: InfoFor<C> + Clone>(&self, period: Duration, message: M) -> TimerRef {
        self.0.timers.every(self.weak(), period, message)
    }

    /// Ends the channel within its shutdown time, before what waits in its mailbox, as if a handler had
    /// returned the [`Stop`]; its answer goes nowhere. Nothing happens to one that has ended. Mirrors
    /// `GenServer.stop/2`, and does not wait.
    ///
    /// ```
    /// # use channel_runtime::prelude::*;
    /// # pub struct Device;
    /// # #[channel("device:*")]
    /// # impl Device { #[join("device:{id}")] fn join(id: u64) -> Self { Device } }
    /// fn revoke(endpoint: &Endpoint, id: u64) {
    ///     for device in endpoint.channels(Device::topic(id)) {
    ///         device.stop(Stop::shutdown_because("revoked"));
    ///     }
    /// }
    /// ```
    pub fn stop(&self, stop: Stop) {
        self.0.stop(stop.reason);
    }

    /// Sends a message that ends its own subject, so that it always finds room.
    #[allow(dead_code, reason = "used by extensions, each behind a feature")]
    pub(crate) fn push_final(&self, message: impl ServerMessage<C> + 'static) {
        // A channel that has ended needs no messages.
        let _ended = self.0.push_final(Command::server(Box::new(message)));
    }

    pub(crate) fn weak(&self) -> Weak<Mailbox<C>> {
        Arc::downgrade(&self.0)
    }
}

impl<C: Channel> Clone for ChannelRef<C> {
    fn clone(&self) -> Self {
        ChannelRef(self.0.clone())
    }
}

impl<C: Channel> fmt::Debug for ChannelRef<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelRef")
            .field("channel", &C::NAME)
            .field("topic", self.topic())
            .finish()
    }
}
