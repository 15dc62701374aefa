//! One connection: a session, its channels' tasks, and the outbox they answer into. Transports
//! drive it; it knows none of them.

use std::{
    future::poll_fn,
    marker::PhantomData,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures_util::{FutureExt, future::BoxFuture};

use super::{
    Budget, ChannelSocket, Close, ConnectContext, ConnectInfo, ConnectRequest, Outbox,
    OutboxLimits, Outgoing, Outlet, Route, Share,
    session::{Effect, Join, Session, Undelivered},
};
use crate::{
    Endpoint, Refusal,
    channel::{ChannelHandle, Predecessor, Reason, Start},
    endpoint::SocketOptions,
    pubsub::{Broadcast, Relay, Subscription},
    socket::Urgency,
    telemetry,
    wire::{DecodeError, Frame},
};

/// A socket type with its options, as the endpoint keeps it.
pub(crate) trait Mount: Send + Sync {
    /// Negotiates the serializer, runs `#[connect]` and opens the connection.
    fn connect(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> BoxFuture<'_, Result<Connection, Refusal>>;

    fn options(&self) -> &SocketOptions;

    /// `(topic pattern, channel)` pairs.
    fn patterns(&self) -> Vec<(&'static str, &'static str)>;

    fn name(&self) -> &'static str;
}

/// The one implementation of [`Mount`].
pub(crate) struct MountOf<S> {
    options: SocketOptions,
    routes: Arc<[Route<S>]>,
}

impl<S: ChannelSocket> MountOf<S> {
    pub(crate) fn new(options: SocketOptions) -> Self {
        MountOf {
            options,
            routes: S::routes().into(),
        }
    }

    async fn open(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> Result<Connection, Refusal> {
        let params = &request.params;
        let vsn = params.get("vsn");
        let serializer = self
            .options
            .serializers
            .negotiate(vsn.as_deref().unwrap_or("1.0.0"))
            .filter(|_| !params.has_nested("vsn"))
            .ok_or_else(|| Refusal::new("unsupported vsn"))?;
        let cx = ConnectContext {
            request: &request,
            endpoint: &endpoint,
            socket: PhantomData,
        };
        let user = S::connect(&cx, params).run().await?;
        let limits = OutboxLimits {
            frames: self.options.outbox_frames,
            bytes: self.options.outbox_bytes,
            policy: self.options.slow_consumer,
        };
        let outbox = Outbox::new(limits);
        let disconnect = user.id().map(|id| {
            let outbox = Arc::downgrade(&outbox);
            let relay = Relay::new(move |broadcast: &Broadcast| {
                if let Some(outbox) = outbox
                    .upgrade()
                    .filter(|_| broadcast.event() == "disconnect")
                {
                    outbox.close(Close::DISCONNECT);
                }
            });
            let id_topic = crate::Topic::from(id);
            endpoint
                .pubsub()
                .subscribe(id_topic, endpoint.pubsub().new_id(), Arc::new(relay))
        });
        let channels = Channels {
            user: Arc::new(user),
            routes: self.routes.clone(),
        };
        Ok(Connection {
            session: Session::new(serializer.clone(), self.options.max_channels),
            channels: Box::new(channels),
            _registered: endpoint.register(&outbox),
            outlet: Outlet::new(outbox, serializer),
            info: Arc::new(request.info),
            endpoint,
            inbox_capacity: self.options.inbox_messages,
            budget: Budget::new(self.options.inbox_bytes),
            _disconnect: disconnect,
        })
    }
}

impl<S: ChannelSocket> Mount for MountOf<S> {
    fn connect(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> BoxFuture<'_, Result<Connection, Refusal>> {
        Box::pin(async move {
            let (started, transport) = (Instant::now(), request.info.transport);
            let open = AssertUnwindSafe(self.open(endpoint, request));
            let connection = open.catch_unwind().await.unwrap_or_else(|panic| {
                telemetry::connect_panicked(S::NAME, &*panic);
                Err(Refusal::new("connect crashed"))
            });
            telemetry::connected(S::NAME, transport, connection.is_ok(), started.elapsed());
            connection
        })
    }

    fn options(&self) -> &SocketOptions {
        &self.options
    }

    fn patterns(&self) -> Vec<(&'static str, &'static str)> {
        super::patterns(&self.routes).into_iter().collect()
    }

    fn name(&self) -> &'static str {
        S::NAME
    }
}

/// The channels that one connection can join.
trait Joinable: Send {
    fn route(&self, topic: &str) -> Option<usize>;
    fn start(&self, route: usize, start: Start) -> ChannelHandle;
}

struct Channels<S> {
    user: Arc<S>,
    routes: Arc<[Route<S>]>,
}

impl<S: ChannelSocket> Joinable for Channels<S> {
    fn route(&self, topic: &str) -> Option<usize> {
        self.routes.iter().position(|route| route.takes(topic))
    }

    fn start(&self, route: usize, start: Start) -> ChannelHandle {
        (self.routes[route].start)(start, &self.user)
    }
}

/// An open connection: the transport hands it the client's frames and writes what it gives.
///
/// Dropping it ends its channels with [`Reason::Closed`].
pub(crate) struct Connection {
    session: Session<ChannelHandle>,
    channels: Box<dyn Joinable>,
    outlet: Outlet,
    info: Arc<ConnectInfo>,
    endpoint: Endpoint,
    inbox_capacity: usize,
    budget: Arc<Budget>,
    _registered: crate::endpoint::Registered,
    _disconnect: Option<Subscription>,
}

/// What the transport has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Write this frame.
    Frame(Frame),
    /// End the connection.
    Close(Close),
}

impl Connection {
    /// Takes one frame of the client.
    ///
    /// # Errors
    ///
    /// What is wrong with the frame; the connection must then end.
    pub(crate) fn receive(&mut self, frame: Frame) -> Result<(), DecodeError> {
        let share = self.budget.take(frame.len());
        let route = |topic: &str| self.channels.route(topic);
        let effect = self.session.receive(frame, share.is_some(), route)?;
        self.carry_out(effect, share);
        Ok(())
    }

    /// `share` is what the frame takes of the budget; without one, nothing is started or
    /// delivered.
    fn carry_out(&mut self, effect: Effect<ChannelHandle>, share: Option<Share>) {
        let undelivered = match (effect, share) {
            (Effect::Send(frame), _) => {
                self.outlet.send(frame, Urgency::MustSend);
                None
            }
            (Effect::Start(join), Some(share)) => {
                self.start(join, share);
                None
            }
            (Effect::Deliver { to, message }, Some(share)) => to.push(message, share).err(),
            (Effect::Leave { to, message }, _) => {
                (!to.leave(message.reference.clone())).then_some((message, Undelivered::Ended))
            }
            (Effect::Ignore | Effect::Start(_) | Effect::Deliver { .. }, _) => None,
        };
        if let Some((message, why)) = undelivered
            && let Effect::Send(frame) = self.session.undelivered(&message, why)
        {
            self.outlet.send(frame, Urgency::MustSend);
        }
    }

    fn start(&mut self, join: Join<ChannelHandle>, share: Share) {
        let Join {
            id,
            route,
            topic,
            message,
            predecessor,
        } = join;
        let start = Start {
            id,
            topic: topic.clone(),
            message,
            predecessor: predecessor.map(|former| Predecessor {
                handle: former.handle,
                join_ref: former.join_ref,
                leaving: former.leaving,
            }),
            outlet: self.outlet.clone(),
            info: self.info.clone(),
            endpoint: self.endpoint.clone(),
            inbox_capacity: self.inbox_capacity,
            share,
        };
        let handle = self.channels.start(route, start);
        self.session.started(&topic, id, handle);
    }

    /// What the transport has to do next; cancel safe.
    pub(crate) async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Connection::next`].
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            match std::task::ready!(self.outlet.outbox().poll_next(cx)) {
                Outgoing::Frame(frame) => return Poll::Ready(Event::Frame(frame)),
                Outgoing::Close(close) => {
                    if close == Close::DRAINING {
                        self.drain();
                    }
                    return Poll::Ready(Event::Close(close));
                }
                Outgoing::Ended(topic, id) => self.session.ended(&topic, id),
            }
        }
    }

    /// The outbox, to hear of its end while a write is stuck.
    pub(crate) fn outbox(&self) -> Arc<Outbox> {
        self.outlet.outbox().clone()
    }

    /// Ends the channels because the server goes down.
    fn drain(&mut self) {
        self.session
            .take_channels()
            .for_each(|channel| channel.stop(Reason::Draining));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.outlet.outbox().abandon();
        self.session
            .take_channels()
            .for_each(|channel| channel.closed());
    }
}
