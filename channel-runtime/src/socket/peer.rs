//! The channels of one connection: carries out what the session decides.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    ChannelSocket, Route,
    session::{Effect, Join, Session},
};
use crate::telemetry::shown;
use crate::{
    channel::{ChannelHandle, Predecessor, Reason, Start},
    connection::{
        Budget, ChannelId, Close, ConnectInfo, Control, Outlet, Peer, Received, Share, Undelivered,
        Urgency,
    },
    endpoint::Endpoint,
    options::SocketOptions,
    protocol::{DecodeError, Frame, Topic},
    pubsub::Subscription,
};

/// The channels that one connection can join.
pub(super) trait Joinable: Send {
    fn route(&self, topic: &str) -> Option<usize>;
    fn start(&self, route: usize, start: Start) -> ChannelHandle;
}

pub(super) struct Channels<S> {
    pub(super) user: Arc<S>,
    pub(super) routes: Arc<[Route<S>]>,
}

impl<S: ChannelSocket> Joinable for Channels<S> {
    fn route(&self, topic: &str) -> Option<usize> {
        self.routes.iter().position(|route| route.takes(topic))
    }

    fn start(&self, route: usize, start: Start) -> ChannelHandle {
        (self.routes[route].start)(start, &self.user)
    }
}

/// The socket behind a connection, where it has channels.
pub(super) struct ChannelPeer {
    session: Session<ChannelHandle>,
    channels: Box<dyn Joinable>,
    outlet: Outlet,
    info: Arc<ConnectInfo>,
    endpoint: Endpoint,
    inbox_capacity: usize,
    budget: Arc<Budget>,
    _disconnect: Option<Subscription>,
}

impl ChannelPeer {
    pub(super) fn new(
        channels: Box<dyn Joinable>,
        outlet: Outlet,
        info: ConnectInfo,
        endpoint: Endpoint,
        options: &SocketOptions,
        disconnect: Option<Subscription>,
    ) -> Self {
        ChannelPeer {
            session: Session::new(outlet.serializer().clone(), options.max_channels),
            channels,
            outlet,
            info: Arc::new(info),
            endpoint,
            inbox_capacity: options.inbox_messages,
            budget: Budget::new(options.inbox_bytes),
            _disconnect: disconnect,
        }
    }

    /// The bytes of a frame, where the budget has room for them.
    fn room(&self, bytes: usize) -> Option<usize> {
        self.budget.has_room(bytes).then_some(bytes)
    }

    fn received(
        &mut self,
        effect: Result<Effect<ChannelHandle>, DecodeError>,
        room: Option<usize>,
    ) -> Received {
        match effect {
            Ok(effect) => {
                self.carry_out(effect, room);
                Received::Taken
            }
            Err(error) => Received::Refused(unreadable(&error)),
        }
    }

    /// `room` is how many bytes of the budget the frame may take; without it, nothing is started
    /// or delivered.
    fn carry_out(&mut self, effect: Effect<ChannelHandle>, room: Option<usize>) {
        let undelivered = match (effect, room) {
            (Effect::Send(frame), _) => {
                self.outlet.send(frame, Urgency::MustSend);
                None
            }
            (Effect::Start(join), Some(bytes)) => {
                let share = self.budget.claim(bytes).take();
                self.start(join, share);
                None
            }
            (Effect::Deliver { to, message }, Some(bytes)) => {
                to.push(message, self.budget.claim(bytes)).err()
            }
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
}

impl Peer for ChannelPeer {
    fn receive(&mut self, frame: Frame) -> Received {
        let room = self.room(frame.len());
        let route = |topic: &str| self.channels.route(topic);
        let effect = self.session.receive(frame, room.is_some(), route);
        self.received(effect, room)
    }

    #[cfg(feature = "websocket")]
    fn receive_text(&mut self, text: &str) -> Received {
        let room = self.room(text.len());
        let route = |topic: &str| self.channels.route(topic);
        let effect = self.session.receive_text(text, room.is_some(), route);
        self.received(effect, room)
    }

    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn control(&mut self, _: Control) {}

    fn ended(&mut self, topic: &Topic, id: ChannelId) {
        self.session.ended(topic, id);
    }

    fn drain(&mut self) {
        self.session
            .take_channels()
            .for_each(|channel| channel.stop(Reason::Draining));
    }
}

impl Drop for ChannelPeer {
    fn drop(&mut self) {
        self.session
            .take_channels()
            .for_each(|channel| channel.closed());
    }
}

/// How a client that sent an unreadable frame is told so.
fn unreadable(error: &DecodeError) -> Close {
    tracing::debug!(error = %shown(&error), "a frame cannot be read; its socket is closed");
    let code = match error {
        DecodeError::Malformed(_) | DecodeError::Binary(_) => 1003,
        DecodeError::Utf8(_) => 1007,
        DecodeError::TooLong(_) => 1008,
    };
    Close {
        code,
        reason: error.to_string().into(),
    }
}
