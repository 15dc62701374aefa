//! Decodes the messages that a client reads: the server's side of version 2 of the protocol.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use crate::protocol::{Frame, Payload, Serializer, Term, V2, reserved};

/// Which of the three kinds of message a server has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To this client only, with the join_ref of its channel.
    Push,
    /// An answer to one message.
    Reply,
    /// To all subscribers of a topic, without refs.
    Broadcast,
}

/// One message of the server, as a test sees it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Inbound {
    /// Push, reply or broadcast.
    pub kind: Kind,
    /// The join it belongs to; empty for a broadcast.
    pub join_ref: String,
    /// The ref that a reply answers; empty otherwise, but for `phx_close` and `phx_error`.
    pub reference: String,
    /// The topic.
    pub topic: String,
    /// The event; of a reply its status, such as `ok`.
    pub event: String,
    /// The payload; of a reply its response.
    pub payload: Payload,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inbound {
            kind,
            topic,
            event,
            payload,
            ..
        } = self;
        match payload.as_json() {
            Some(json) => write!(f, "{kind:?} {topic:?} {event:?} {json}"),
            None => write!(f, "{kind:?} {topic:?} {event:?} [{} bytes]", payload.len()),
        }
    }
}

fn text(term: &Term) -> String {
    match term {
        Term::Null => String::new(),
        Term::Text(text) => text.to_string(),
        Term::Json(json) => json.to_string(),
    }
}

impl Inbound {
    /// Decodes a frame that a server has written.
    ///
    /// # Panics
    ///
    /// When the server's frame breaks the protocol: a test should fail then.
    pub(super) fn decode(frame: Frame) -> Self {
        match frame {
            Frame::Text(_) => Inbound::decode_text(frame),
            Frame::Binary(bytes) => Inbound::decode_binary(&bytes),
        }
    }

    fn decode_text(frame: Frame) -> Self {
        let message = V2
            .decode(frame)
            .expect("the server writes frames of version 2");
        let event = text(&message.event);
        let mut inbound = Inbound {
            kind: if message.join_ref.is_null() {
                Kind::Broadcast
            } else {
                Kind::Push
            },
            join_ref: text(&message.join_ref),
            reference: text(&message.reference),
            topic: text(&message.topic),
            event,
            payload: message.payload,
        };
        if inbound.event == reserved::REPLY {
            let reply: Value = inbound.payload.decode().expect("a reply is an object");
            inbound.kind = Kind::Reply;
            inbound.event = reply["status"]
                .as_str()
                .expect("a reply has a status")
                .to_owned();
            inbound.payload = Payload::json(&reply["response"]).expect("a value is JSON");
        }
        inbound
    }

    fn decode_binary(bytes: &Bytes) -> Self {
        let kind = match bytes[0] {
            0 => Kind::Push,
            1 => Kind::Reply,
            2 => Kind::Broadcast,
            other => panic!("the server sent a binary frame of kind {other}"),
        };
        let names = match kind {
            Kind::Push => 3,
            Kind::Reply => 4,
            Kind::Broadcast => 2,
        };
        let mut at = 1 + names;
        let mut fields = bytes[1..at]
            .iter()
            .map(|len| {
                let field = &bytes[at..at + usize::from(*len)];
                at += field.len();
                String::from_utf8(field.to_vec()).expect("fields are UTF-8")
            })
            .collect::<Vec<_>>()
            .into_iter();
        let mut field = || fields.next().unwrap_or_default();
        let (join_ref, reference) = match kind {
            Kind::Push => (field(), String::new()),
            Kind::Reply => (field(), field()),
            Kind::Broadcast => (String::new(), String::new()),
        };
        let (topic, event) = (field(), field());
        let payload = Payload::binary(bytes.slice(at..));
        Inbound {
            kind,
            join_ref,
            reference,
            topic,
            event,
            payload,
        }
    }

    /// Returns true if the JSON payload has all of `pattern`: every field of an object, every
    /// element of an array, equal values elsewhere.
    pub(super) fn contains(&self, pattern: &Value) -> bool {
        self.payload
            .decode::<Value>()
            .is_ok_and(|value| contains(&value, pattern))
    }
}

fn contains(value: &Value, pattern: &Value) -> bool {
    match (value, pattern) {
        (Value::Object(value), Value::Object(pattern)) => pattern
            .iter()
            .all(|(key, pattern)| value.get(key).is_some_and(|value| contains(value, pattern))),
        (Value::Array(value), Value::Array(pattern)) => {
            value.len() == pattern.len()
                && value
                    .iter()
                    .zip(pattern)
                    .all(|(value, pattern)| contains(value, pattern))
        }
        (value, pattern) => value == pattern,
    }
}
