//! The channels of one connection: carries out the session's decisions.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    ChannelSocket, Route,
    session::{Effect, Join, Room, Session},
};
use crate::telemetry::shown;
use crate::{
    channel::{ChannelHandle, Connected, Predecessor, Reason, Start},
    connection::{
        Admitted, Budget, BudgetPermit, ChannelId, ClientSender, Close, ConnectInfo,
        ConnectionHandler, Control, Received, Undelivered, Urgency, Wait,
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

pub(super) struct Channels<S: ChannelSocket> {
    pub(super) user: Arc<Connected<S>>,
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

/// The connection handler of a socket that has channels.
pub(super) struct ChannelsHandler {
    session: Session<ChannelHandle>,
    channels: Box<dyn Joinable>,
    client: ClientSender,
    info: Arc<ConnectInfo>,
    endpoint: Endpoint,
    mailbox_capacity: usize,
    budget: Arc<Budget>,
    /// The time that a message waits for room.
    patience: Duration,
    /// Set while a message waits for room.
    wait: Option<Box<Wait>>,
    /// The deadline of the current batch, whose messages wait in one common time.
    batch: Option<Instant>,
    in_batches: bool,
    _disconnect: Option<Subscription>,
}

impl ChannelsHandler {
    pub(super) fn new(
        channels: Box<dyn Joinable>,
        client: ClientSender,
        info: ConnectInfo,
        endpoint: Endpoint,
        options: &SocketOptions,
        disconnect: Option<Subscription>,
    ) -> Self {
        let budget = Budget::new(options.mailbox_bytes, endpoint.mailbox_budget().clone());
        ChannelsHandler {
            session: Session::new(client.serializer().clone(), options.max_channels),
            channels,
            client,
            info: Arc::new(info),
            endpoint,
            mailbox_capacity: options.mailbox_messages,
            budget,
            patience: options.mailbox_wait,
            wait: None,
            batch: None,
            in_batches: false,
            _disconnect: disconnect,
        }
    }

    /// Checks if there is room for a frame of this many bytes.
    fn room(&mut self, bytes: usize) -> (Option<Admitted>, Room) {
        let admitted = match &mut self.wait {
            None => self.budget.admit(bytes),
            Some(wait) => wait.admit(&self.budget, bytes),
        };
        if let Ok(admitted) = admitted {
            self.wait = None;
            return (Some(admitted), Room::Free);
        }
        match self.wait.as_ref().is_some_and(|wait| wait.is_over()) {
            true => (None, Room::Never),
            false => (None, Room::Later),
        }
    }

    /// Makes a frame of this many bytes wait for room. A wait that has begun goes on.
    fn wait(&mut self, bytes: usize) {
        if self.wait.is_some() {
            return;
        }
        // If there is room by now, there is no wait, and the frame comes again at once.
        if let Err(spent) = self.budget.admit(bytes) {
            let begun = || Instant::now() + self.patience;
            let until = match self.in_batches {
                true => *self.batch.get_or_insert_with(begun),
                false => begun(),
            };
            self.wait = Some(Box::new(self.budget.wait(bytes, spent, until)));
            metrics::counter!("channel_reads_paused_total").increment(1);
        }
    }

    /// Carries out an effect. Returns the frame if it must wait.
    fn received(
        &mut self,
        effect: Result<Effect<ChannelHandle>, DecodeError>,
        admitted: Option<Admitted>,
        frame: impl FnOnce() -> Frame,
    ) -> Received {
        match effect {
            Ok(Effect::Wait) => {
                let frame = frame();
                self.wait(frame.len());
                Received::Full(frame)
            }
            Ok(effect) => {
                self.carry_out(effect, admitted);
                Received::Taken
            }
            Err(error) => Received::Refused(unreadable(&error)),
        }
    }

    /// Carries out an effect. A message that was not admitted starts nothing and is not delivered.
    fn carry_out(&mut self, effect: Effect<ChannelHandle>, admitted: Option<Admitted>) {
        let undelivered = match (effect, admitted) {
            (Effect::Send(frame), _) => {
                self.client.send(frame, Urgency::MustSend);
                None
            }
            (Effect::Start(join), Some(admitted)) => {
                let share = self.budget.claim(admitted).take();
                self.start(join, share);
                None
            }
            (Effect::Deliver { to, message }, Some(admitted)) => {
                to.push(message, self.budget.claim(admitted)).err()
            }
            (Effect::Leave { to, message }, _) => {
                (!to.leave(message.reference.clone())).then_some((message, Undelivered::Ended))
            }
            (Effect::Ignore | Effect::Wait | Effect::Start(_) | Effect::Deliver { .. }, _) => None,
        };
        if let Some((message, why)) = undelivered
            && let Effect::Send(frame) = self.session.undelivered(&message, why)
        {
            self.client.send(frame, Urgency::MustSend);
        }
    }

    fn start(&mut self, join: Join<ChannelHandle>, share: BudgetPermit) {
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
            client: self.client.clone(),
            info: self.info.clone(),
            endpoint: self.endpoint.clone(),
            mailbox_capacity: self.mailbox_capacity,
            share,
        };
        let handle = self.channels.start(route, start);
        self.session.started(&topic, id, handle);
    }
}

impl ConnectionHandler for ChannelsHandler {
    fn receive(&mut self, frame: Frame) -> Received {
        let (admitted, room) = self.room(frame.len());
        // This copies no bytes.
        let again = (room == Room::Later).then(|| frame.clone());
        let route = |topic: &str| self.channels.route(topic);
        let effect = self.session.receive(frame, room, route);
        self.received(effect, admitted, || {
            // A session lets a message wait only with `Room::Later`.
            again.expect("a frame that waits is kept")
        })
    }

    #[cfg(feature = "websocket")]
    fn receive_text(&mut self, text: &str) -> Received {
        let (admitted, room) = self.room(text.len());
        let route = |topic: &str| self.channels.route(topic);
        let effect = self.session.receive_text(text, room, route);
        self.received(effect, admitted, || Frame::Text(text.into()))
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wait {
            Some(wait) => wait.poll(&self.budget, cx),
            None => Poll::Ready(()),
        }
    }

    #[cfg(feature = "long-poll")]
    fn begin_batch(&mut self) {
        (self.in_batches, self.batch) = (true, None);
    }

    fn control(&mut self, _: Control) {}

    #[cfg(feature = "websocket")]
    fn has_joined(&self) -> bool {
        self.session.has_channels()
    }

    fn ended(&mut self, topic: &Topic, id: ChannelId) {
        self.session.ended(topic, id);
    }

    fn drain(&mut self) {
        self.session
            .take_channels()
            .for_each(|channel| channel.stop(Reason::Draining));
    }
}

impl Drop for ChannelsHandler {
    fn drop(&mut self) {
        self.session
            .take_channels()
            .for_each(|channel| channel.closed());
    }
}

/// Returns the close for a client that sent an unreadable frame.
fn unreadable(error: &DecodeError) -> Close {
    tracing::debug!(error = %shown(&error), "a frame cannot be read; its socket is closed");
    let code = match error {
        DecodeError::Malformed(_) | DecodeError::Binary(_) => 1003,
        DecodeError::Utf8(_) => 1007,
        DecodeError::TooLong(_) => 1008,
    };
    Close {
        code,
        // The decoder's own text is not for clients.
        reason: match error {
            DecodeError::Malformed(_) => "malformed message".into(),
            error => error.to_string().into(),
        },
    }
}
