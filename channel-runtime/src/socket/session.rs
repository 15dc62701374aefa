//! The multiplexer of one connection: which channel a message belongs to. No I/O.

#[cfg(test)]
mod properties;

use std::{collections::HashMap, mem};

use crate::{
    Payload, Refusal, Topic,
    wire::{DecodeError, Frame, Message, Reply, SharedSerializer, Term, reserved},
};

/// Names one join of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChannelId(pub(crate) u64);

/// What one message of the client makes the connection do. `H` is a channel's handle.
#[derive(Debug)]
pub(crate) enum Effect<H> {
    /// Answer the client.
    Send(Frame),
    /// Start a channel, and give its handle to [`Session::started`].
    Start {
        id: ChannelId,
        route: usize,
        topic: Topic,
        message: Message,
        /// The channel that still holds the topic, or is about to leave it.
        predecessor: Option<Former<H>>,
    },
    /// Hand the message to a channel; what it does not take goes to [`Session::undelivered`].
    Deliver { to: H, message: Message },
    /// Tell a channel that the client leaves, with the message's ref.
    Leave { to: H, message: Message },
    /// Nothing: the message belongs to a join that is over.
    Ignore,
}

/// A channel that a new join of its topic waits for.
#[derive(Debug)]
pub(crate) struct Former<H> {
    pub(crate) handle: H,
    pub(crate) join_ref: Term,
    /// Whether the client has asked it to leave; otherwise the new join replaces it.
    pub(crate) leaving: bool,
}

/// Why a channel did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// It has ended.
    Ended,
    /// Its inbox is full.
    Full,
}

#[derive(Debug)]
struct Entry<H> {
    id: ChannelId,
    join_ref: Term,
    handle: Option<H>,
    leaving: bool,
}

/// The state of one connection: its joined topics.
///
/// A frame goes in, an [`Effect`] comes out; who carries it out, and over what, is not known
/// here. WebSocket, long-poll, the test client and the fuzzer drive the same machine.
#[derive(Debug)]
pub(crate) struct Session<H> {
    serializer: SharedSerializer,
    channels: HashMap<Topic, Entry<H>>,
    max_channels: usize,
    /// Channels that have started and not ended, replaced ones included.
    live: usize,
    last_id: u64,
}

impl<H: Clone> Session<H> {
    pub(crate) fn new(serializer: SharedSerializer, max_channels: usize) -> Self {
        Session {
            serializer,
            channels: HashMap::new(),
            max_channels,
            live: 0,
            last_id: 0,
        }
    }

    /// Takes one frame; `route` finds the channel of a topic.
    pub(crate) fn receive(
        &mut self,
        frame: Frame,
        route: impl FnOnce(&str) -> Option<usize>,
    ) -> Result<Effect<H>, DecodeError> {
        let message = self.serializer.decode(frame)?;
        let Some(topic) = message.topic.as_str() else {
            return Ok(self.unmatched(&message));
        };
        if topic == reserved::PHOENIX && message.event.as_str() == Some(reserved::HEARTBEAT) {
            return Ok(self.reply(&Term::Null, &message, "ok", &Payload::empty()));
        }
        Ok(match message.event.as_str() {
            Some(reserved::JOIN) => match route(topic) {
                Some(route) => self.join(route, message),
                None => self.unmatched(&message),
            },
            Some(reserved::LEAVE) => self.leave(message),
            _ => self.push(message),
        })
    }

    fn join(&mut self, route: usize, message: Message) -> Effect<H> {
        let topic = Topic::from(message.topic.as_str().unwrap_or_default());
        let held = self.channels.contains_key(&topic);
        let full = !held && self.channels.len() >= self.max_channels;
        // A topic that is joined over and over leaves channels behind that are still ending.
        if full || self.live >= self.max_channels.saturating_mul(2) {
            return self.refuse(&message.join_ref, &message, "too many channels joined");
        }
        self.last_id += 1;
        self.live += 1;
        let id = ChannelId(self.last_id);
        let join_ref = message.join_ref.clone();
        let entry = Entry {
            id,
            join_ref,
            handle: None,
            leaving: false,
        };
        let predecessor = self
            .channels
            .insert(topic.clone(), entry)
            .and_then(|former| {
                let Entry {
                    join_ref,
                    handle,
                    leaving,
                    ..
                } = former;
                handle.map(|handle| Former {
                    handle,
                    join_ref,
                    leaving,
                })
            });
        Effect::Start {
            id,
            route,
            topic,
            message,
            predecessor,
        }
    }

    /// The handle of a channel that [`Effect::Start`] has started.
    pub(crate) fn started(&mut self, topic: &Topic, id: ChannelId, handle: H) {
        if let Some(entry) = self.channels.get_mut(topic).filter(|entry| entry.id == id) {
            entry.handle = Some(handle);
        }
    }

    fn leave(&mut self, message: Message) -> Effect<H> {
        let Some(entry) = message
            .topic
            .as_str()
            .and_then(|topic| self.channels.get_mut(topic))
        else {
            return self.reply(&message.join_ref, &message, "ok", &Payload::empty());
        };
        if !belongs(entry, &message) {
            return Effect::Ignore;
        }
        entry.leaving = true;
        match entry.handle.clone() {
            Some(to) => Effect::Leave { to, message },
            None => Effect::Ignore,
        }
    }

    fn push(&self, message: Message) -> Effect<H> {
        match message
            .topic
            .as_str()
            .and_then(|topic| self.channels.get(topic))
        {
            None => self.unmatched(&message),
            Some(entry) if !belongs(entry, &message) => Effect::Ignore,
            Some(entry) => match entry.handle.clone() {
                Some(to) => Effect::Deliver { to, message },
                None => Effect::Ignore,
            },
        }
    }

    /// What the client hears of a message that its channel did not take.
    pub(crate) fn undelivered(&self, message: &Message, why: Undelivered) -> Effect<H> {
        match why {
            Undelivered::Full => self.refuse(&message.join_ref, message, "channel overloaded"),
            Undelivered::Ended if message.event.as_str() == Some(reserved::LEAVE) => {
                self.reply(&message.join_ref, message, "ok", &Payload::empty())
            }
            Undelivered::Ended => self.unmatched(message),
        }
    }

    /// A channel's task is over.
    pub(crate) fn ended(&mut self, topic: &Topic, id: ChannelId) {
        self.live = self.live.saturating_sub(1);
        if self.channels.get(topic).is_some_and(|entry| entry.id == id) {
            self.channels.remove(topic);
            if self.channels.is_empty() {
                self.channels.shrink_to_fit();
            }
        }
    }

    /// Takes out the channels that are joined now, to end them with the connection.
    pub(crate) fn take_channels(&mut self) -> impl Iterator<Item = H> + use<H> {
        mem::take(&mut self.channels)
            .into_values()
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
                tracing::warn!(%error, "a serializer cannot write a JSON reply");
                Effect::Ignore
            }
        }
    }
}

/// Whether a message is for the join that holds its topic now.
fn belongs<H>(entry: &Entry<H>, message: &Message) -> bool {
    message.join_ref.is_null() || message.join_ref == entry.join_ref
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Serializers;

    fn session() -> Session<u64> {
        Session::new(Serializers::default().negotiate("2.0.0").unwrap(), 2)
    }

    fn receive(session: &mut Session<u64>, json: &str) -> Effect<u64> {
        let route = |topic: &str| topic.starts_with("room:").then_some(0);
        session.receive(Frame::Text(json.into()), route).unwrap()
    }

    fn join(session: &mut Session<u64>, json: &str) -> (Topic, ChannelId, Option<Former<u64>>) {
        match receive(session, json) {
            Effect::Start {
                id,
                topic,
                predecessor,
                ..
            } => {
                session.started(&topic, id, id.0);
                (topic, id, predecessor)
            }
            other => panic!("expected a start, got {other:?}"),
        }
    }

    fn text(effect: Effect<u64>) -> String {
        match effect {
            Effect::Send(Frame::Text(text)) => text.to_string(),
            other => panic!("expected a reply, got {other:?}"),
        }
    }

    #[test]
    fn a_heartbeat_is_answered_at_once() {
        let reply = text(receive(
            &mut session(),
            r#"["x",7,"phoenix","heartbeat",{"a":1}]"#,
        ));
        assert_eq!(
            reply,
            r#"[null,7,"phoenix","phx_reply",{"status":"ok","response":{}}]"#
        );
    }

    #[test]
    fn a_topic_of_no_channel_or_no_text_is_unmatched() {
        for topic in [r#""nope""#, r#""phoenix""#, "null", "17"] {
            let reply = text(receive(
                &mut session(),
                &format!(r#"["1","2",{topic},"phx_join",{{}}]"#),
            ));
            let start = format!(r#"[null,"2",{topic},"phx_reply","#);
            assert!(
                reply.starts_with(&start) && reply.contains("unmatched topic"),
                "{reply}"
            );
        }
    }

    #[test]
    fn a_message_of_another_join_is_dropped_and_one_of_none_is_not() {
        let mut session = session();
        join(&mut session, r#"["1","1","room:a","phx_join",{}]"#);
        assert!(matches!(
            receive(&mut session, r#"["0","2","room:a","e",{}]"#),
            Effect::Ignore
        ));
        assert!(matches!(
            receive(&mut session, r#"[1,"2","room:a","e",{}]"#),
            Effect::Ignore
        ));
        assert!(matches!(
            receive(&mut session, r#"[null,"2","room:a","e",{}]"#),
            Effect::Deliver { .. }
        ));
        assert!(matches!(
            receive(&mut session, r#"["0","2","room:a","phx_leave",{}]"#),
            Effect::Ignore
        ));
    }

    #[test]
    fn a_second_join_names_the_channel_it_replaces() {
        let mut session = session();
        let (topic, first, none) = join(&mut session, r#"["1","1","room:a","phx_join",{}]"#);
        assert!(none.is_none());
        let (_, _, former) = join(&mut session, r#"["2","2","room:a","phx_join",{}]"#);
        let former = former.unwrap();
        assert_eq!((former.handle, former.leaving), (first.0, false));
        assert_eq!(former.join_ref, Term::from("1"));
        session.ended(&topic, first);
        assert!(matches!(
            receive(&mut session, r#"["2","3","room:a","e",{}]"#),
            Effect::Deliver { to: 2, .. }
        ));
    }

    #[test]
    fn a_join_behind_a_leave_waits_for_it() {
        let mut session = session();
        join(&mut session, r#"["1","1","room:a","phx_join",{}]"#);
        assert!(matches!(
            receive(&mut session, r#"["1","2","room:a","phx_leave",{}]"#),
            Effect::Leave { to: 1, .. }
        ));
        let (_, _, former) = join(&mut session, r#"["3","3","room:a","phx_join",{}]"#);
        assert!(former.unwrap().leaving);
    }

    #[test]
    fn one_join_too_many_is_refused_until_a_channel_ends() {
        let mut session = session();
        let (topic, id, _) = join(&mut session, r#"["1","1","room:a","phx_join",{}]"#);
        join(&mut session, r#"["2","2","room:b","phx_join",{}]"#);
        let reply = text(receive(&mut session, r#"["3","3","room:c","phx_join",{}]"#));
        assert!(reply.starts_with(r#"["3","3","room:c""#) && reply.contains("too many channels"));
        session.ended(&topic, id);
        join(&mut session, r#"["3","4","room:c","phx_join",{}]"#);
    }

    #[test]
    fn joining_over_and_over_does_not_pile_up_channels() {
        let mut session = session();
        for n in 0..4 {
            join(
                &mut session,
                &format!(r#"["{n}","{n}","room:a","phx_join",{{}}]"#),
            );
        }
        let reply = text(receive(&mut session, r#"["9","9","room:a","phx_join",{}]"#));
        assert!(reply.contains("too many channels"), "{reply}");
    }
}
