//! The multiplexer of one connection: finds the channel of a message. No I/O.

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use crate::telemetry::shown;
use std::mem;

use crate::connection::{ChannelId, Undelivered};
use crate::protocol::{
    DecodeError, Frame, Message, Payload, Refusal, Reply, SharedSerializer, Term, Topic, reserved,
};

/// The effect of one message of the client on the connection. `H` is a channel's handle.
#[derive(Debug)]
pub(crate) enum Effect<H> {
    /// Answer the client.
    Send(Frame),
    /// Start a channel, and give its handle to [`Session::started`].
    Start(Join<H>),
    /// Deliver the message to a channel; if it is not taken, call [`Session::undelivered`].
    Deliver { to: H, message: Message },
    /// Tell a channel that the client leaves, with the message's ref.
    Leave { to: H, message: Message },
    /// Nothing: the message belongs to a join that is over.
    Ignore,
    /// Nothing yet: the message is to come again once there is room for it.
    Wait,
}

/// The room for a message to wait for a channel, or to start one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is room for it.
    Free,
    /// There is no room yet.
    Later,
    /// The message has waited for room until its time was over.
    Never,
}

/// A join that found its channel.
#[derive(Debug)]
pub(crate) struct Join<H> {
    pub(crate) id: ChannelId,
    pub(crate) route: usize,
    pub(crate) topic: Topic,
    pub(crate) message: Message,
    /// The channel that still holds the topic, or is about to leave it.
    pub(crate) predecessor: Option<Former<H>>,
}

/// A channel that must end before a new join of its topic starts.
#[derive(Debug)]
pub(crate) struct Former<H> {
    pub(crate) handle: H,
    pub(crate) join_ref: Term,
    /// True if the client has asked it to leave; otherwise the new join replaces it.
    pub(crate) leaving: bool,
}

#[derive(Debug)]
struct Entry<H> {
    topic: Topic,
    id: ChannelId,
    join_ref: Term,
    /// True if the client has given the join_ref; otherwise every message of the topic belongs
    /// here.
    named: bool,
    handle: Option<H>,
    leaving: bool,
}

/// The state of one connection: its joined topics.
///
/// A frame goes in, an [`Effect`] comes out; the caller carries it out. WebSocket, long-poll, the
/// test client and the fuzzer drive the same machine.
#[derive(Debug)]
pub(crate) struct Session<H> {
    serializer: SharedSerializer,
    /// The channels by topic, in order: most connections have a few, for which nothing is as small.
    channels: Vec<Entry<H>>,
    max_channels: usize,
    /// Channels that have started and not ended, replaced ones included.
    live: usize,
    last_id: u64,
}

impl<H: Clone> Session<H> {
    pub(crate) fn new(serializer: SharedSerializer, max_channels: usize) -> Self {
        Session {
            serializer,
            channels: Vec::new(),
            max_channels,
            live: 0,
            last_id: 0,
        }
    }

    /// Takes one frame; `route` finds the channel of a topic. Without room, as when too much waits
    /// already, nothing is started or delivered; a frame that needs no room, such as a heartbeat or
    /// a leave, is still taken.
    pub(crate) fn receive(
        &mut self,
        frame: Frame,
        room: Room,
        route: impl FnOnce(&str) -> Option<usize>,
    ) -> Result<Effect<H>, DecodeError> {
        let message = self.serializer.decode(frame)?;
        Ok(self.take(message, room, route))
    }

    /// Does the same as [`Session::receive`] for a text frame, and copies only the parts that are
    /// kept.
    #[cfg(feature = "websocket")]
    pub(crate) fn receive_text(
        &mut self,
        text: &str,
        room: Room,
        route: impl FnOnce(&str) -> Option<usize>,
    ) -> Result<Effect<H>, DecodeError> {
        let message = self.serializer.decode_text(text)?;
        Ok(self.take(message, room, route))
    }

    fn take(
        &mut self,
        mut message: Message,
        room: Room,
        route: impl FnOnce(&str) -> Option<usize>,
    ) -> Effect<H> {
        let Some(topic) = message.topic.as_str() else {
            return self.unmatched(&message);
        };
        if topic == reserved::PHOENIX && message.event.as_str() == Some(reserved::HEARTBEAT) {
            return self.reply(&Term::Null, &message, "ok", &Payload::empty());
        }
        let named = !message.join_ref.is_null();
        if !named && message.event.as_str() == Some(reserved::JOIN) && self.serializer.names_joins()
        {
            message.join_ref = message.reference.clone();
        }
        match message.event.as_str() {
            Some(reserved::LEAVE) => self.leave(message, room),
            Some(reserved::JOIN) => match route(topic) {
                Some(route) if room == Room::Free => self.join(route, message, named),
                Some(_) => self.without_room(&message, room),
                None => self.unmatched(&message),
            },
            _ => self.push(message, room),
        }
    }

    fn without_room(&self, message: &Message, room: Room) -> Effect<H> {
        match room {
            Room::Later => Effect::Wait,
            Room::Free | Room::Never => self.undelivered(message, Undelivered::Full),
        }
    }

    /// Handles a join. `named` is true if the client has given a join_ref.
    fn join(&mut self, route: usize, message: Message, named: bool) -> Effect<H> {
        let topic = Topic::from(message.topic.as_str().unwrap_or_default());
        let place = self.place(&topic);
        let full = place.is_err() && self.channels.len() >= self.max_channels;
        // Joining a topic again and again leaves channels behind that are still ending.
        if full || self.live >= self.max_channels.saturating_mul(2) {
            return self.refuse(&message.join_ref, &message, "too many channels joined");
        }
        self.last_id += 1;
        self.live += 1;
        let id = ChannelId(self.last_id);
        let join_ref = message.join_ref.clone();
        let entry = Entry {
            topic: topic.clone(),
            id,
            join_ref,
            named,
            handle: None,
            leaving: false,
        };
        let predecessor = match place {
            Ok(at) => {
                let former = mem::replace(&mut self.channels[at], entry);
                let (join_ref, leaving) = (former.join_ref, former.leaving);
                former.handle.map(|handle| Former {
                    handle,
                    join_ref,
                    leaving,
                })
            }
            Err(at) => {
                if self.channels.is_empty() {
                    self.channels.reserve_exact(1);
                }
                self.channels.insert(at, entry);
                None
            }
        };
        Effect::Start(Join {
            id,
            route,
            topic,
            message,
            predecessor,
        })
    }

    fn place(&self, topic: &str) -> Result<usize, usize> {
        self.channels
            .binary_search_by(|entry| entry.topic.as_str().cmp(topic))
    }

    fn entry(&self, topic: &str) -> Option<&Entry<H>> {
        self.place(topic).ok().map(|at| &self.channels[at])
    }

    fn entry_mut(&mut self, topic: &str) -> Option<&mut Entry<H>> {
        self.place(topic).ok().map(|at| &mut self.channels[at])
    }

    /// Records the handle of a channel that [`Effect::Start`] has started.
    pub(crate) fn started(&mut self, topic: &Topic, id: ChannelId, handle: H) {
        if let Some(entry) = self.entry_mut(topic).filter(|entry| entry.id == id) {
            entry.handle = Some(handle);
        }
    }

    /// Handles a leave. The first leave of a join always finds room; further ones are treated like
    /// any other message.
    fn leave(&mut self, message: Message, room: Room) -> Effect<H> {
        let Some(entry) = message
            .topic
            .as_str()
            .and_then(|topic| self.entry_mut(topic))
        else {
            return self.reply(&message.join_ref, &message, "ok", &Payload::empty());
        };
        if !belongs(entry, &message) {
            return Effect::Ignore;
        }
        let again = std::mem::replace(&mut entry.leaving, true);
        match entry.handle.clone() {
            Some(_) if again && room != Room::Free => self.without_room(&message, room),
            Some(to) if again => Effect::Deliver { to, message },
            Some(to) => Effect::Leave { to, message },
            None => Effect::Ignore,
        }
    }

    fn push(&self, message: Message, room: Room) -> Effect<H> {
        match message.topic.as_str().and_then(|topic| self.entry(topic)) {
            None => self.unmatched(&message),
            Some(entry) if !belongs(entry, &message) => Effect::Ignore,
            Some(entry) => match entry.handle.clone() {
                Some(_) if room != Room::Free => self.without_room(&message, room),
                Some(to) => Effect::Deliver { to, message },
                None => Effect::Ignore,
            },
        }
    }

    /// Returns the effect of a message that its channel did not take.
    pub(crate) fn undelivered(&self, message: &Message, why: Undelivered) -> Effect<H> {
        match why {
            Undelivered::Full => {
                metrics::counter!("channel_messages_refused_total").increment(1);
                self.refuse(&message.join_ref, message, "channel overloaded")
            }
            Undelivered::Ended if message.event.as_str() == Some(reserved::LEAVE) => {
                self.reply(&message.join_ref, message, "ok", &Payload::empty())
            }
            Undelivered::Ended => self.unmatched(message),
        }
    }

    /// Records that a channel is over.
    pub(crate) fn ended(&mut self, topic: &Topic, id: ChannelId) {
        self.live = self.live.saturating_sub(1);
        if let Ok(at) = self.place(topic)
            && self.channels[at].id == id
        {
            self.channels.remove(at);
            if self.channels.is_empty() {
                self.channels.shrink_to_fit();
            }
        }
    }

    #[cfg(feature = "websocket")]
    pub(crate) fn has_channels(&self) -> bool {
        !self.channels.is_empty()
    }

    /// Removes the channels that are joined now, to end them with the connection.
    pub(crate) fn take_channels(&mut self) -> impl Iterator<Item = H> + use<H> {
        mem::take(&mut self.channels)
            .into_iter()
            .filter_map(|entry| entry.handle)
    }

    fn unmatched(&self, message: &Message) -> Effect<H> {
        self.refuse(&Term::Null, message, "unmatched topic")
    }

    fn refuse(&self, join_ref: &Term, message: &Message, reason: &str) -> Effect<H> {
        self.reply(join_ref, message, "error", &Refusal::new(reason).payload())
    }

    fn reply(
        &self,
        join_ref: &Term,
        message: &Message,
        status: &str,
        payload: &Payload,
    ) -> Effect<H> {
        let (reference, topic) = (&message.reference, &message.topic);
        match self.serializer.reply(Reply {
            join_ref,
            reference,
            topic,
            status,
            payload,
        }) {
            Ok(frame) => Effect::Send(frame),
            Err(error) => {
                tracing::warn!(error = %shown(&error), "a serializer cannot write a JSON reply");
                Effect::Ignore
            }
        }
    }
}

/// Returns true if a message is for the join that holds its topic now. A join without a join_ref
/// cannot tell its messages from others, so it gets them all.
fn belongs<H>(entry: &Entry<H>, message: &Message) -> bool {
    !entry.named || message.join_ref.is_null() || message.join_ref == entry.join_ref
}
