//! The byte format of the messages between nodes.
//!
//! ```text
//! bytes  0..2    "ch"
//!        2       version, 1
//!        3       0: a broadcast of JSON, 1: a broadcast of bytes, 3: a node message
//!        4..20   the origin of the publisher, a random number
//!        20..24  length of the topic, or of the sending node's name; big endian
//!        24..28  length of the event, or of the mailbox's name; big endian
//!        28..    the two names, and the payload
//! ```
//!
//! A node message's payload is the origin of the receiving node, zero for all of them, followed by a
//! sealed part: the message's number within its mailbox, in 8 bytes, and its body. The seal also
//! covers all the bytes before it. Kind 2 is an unsealed node message, which nodes no longer write or
//! accept.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use crate::{
    protocol::{Broadcast, Payload},
    pubsub::{
        EnvelopeError,
        node_message::{NodeMessage, Peer},
    },
};

const MAGIC: [u8; 2] = *b"ch";
const VERSION: u8 = 1;
const JSON: u8 = 0;
const BINARY: u8 = 1;
const UNSEALED_MESSAGE: u8 = 2;
const NODE_MESSAGE: u8 = 3;
const ORIGIN: std::ops::Range<usize> = 4..20;
const HEADER: usize = 28;

/// The origin of a message: a random number, unique to each process of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "long-poll",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "u128", into = "u128")
)]
pub(crate) struct Origin(pub(crate) [u8; 16]);

impl From<u128> for Origin {
    fn from(number: u128) -> Self {
        Origin(number.to_be_bytes())
    }
}

impl From<Origin> for u128 {
    fn from(origin: Origin) -> Self {
        u128::from_be_bytes(origin.0)
    }
}

impl Origin {
    /// All nodes: the address of a node message to every one.
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    pub(crate) const ALL: Origin = Origin([0; 16]);

    pub(crate) fn random() -> Self {
        Origin(fastrand::u128(..).to_be_bytes())
    }
}

/// A message from another node.
#[derive(Debug)]
pub(crate) enum Message {
    Broadcast(Broadcast),
    NodeMessage(NodeMessage),
}

pub(crate) fn encode(origin: Origin, broadcast: &Broadcast) -> Bytes {
    let names = [broadcast.topic().as_str(), broadcast.event()];
    let payload = broadcast.payload();
    let (kind, body) = match (payload.as_json(), payload.as_binary()) {
        (Some(json), _) => (JSON, json.as_bytes()),
        (None, binary) => (BINARY, binary.map(AsRef::as_ref).unwrap_or_default()),
    };
    write(origin, kind, names, body)
}

/// Encodes a node message, sealed by `seal`, which takes the readable part and the secret part.
#[cfg(any(feature = "long-poll", feature = "presence"))]
pub(crate) fn seal_message(
    from: &Peer,
    to: Origin,
    mailbox: &str,
    number: u64,
    body: &[u8],
    seal: impl FnOnce(&[u8], &[u8]) -> Result<Vec<u8>, crate::token::SealError>,
) -> Result<Bytes, crate::token::SealError> {
    let clear = write(from.origin, NODE_MESSAGE, [&from.node, mailbox], &to.0);
    let sealed = seal(&clear, &[&number.to_be_bytes(), body].concat())?;
    Ok([&clear[..], &sealed].concat().into())
}

fn write(origin: Origin, kind: u8, names: [&str; 2], body: &[u8]) -> Bytes {
    let [first, second] = names.map(str::len);
    let mut bytes = BytesMut::with_capacity(HEADER + first + second + body.len());
    bytes.put_slice(&MAGIC);
    bytes.put_u8(VERSION);
    bytes.put_u8(kind);
    bytes.put_slice(&origin.0);
    for name in names {
        // A name of 4 GiB is cut off by the limit on messages long before this.
        bytes.put_u32(u32::try_from(name.len()).unwrap_or(u32::MAX));
    }
    for name in names {
        bytes.put_slice(name.as_bytes());
    }
    bytes.put_slice(body);
    bytes.freeze()
}

/// Returns true if the message carries this origin; decodes nothing.
pub(crate) fn is_from(origin: Origin, message: &[u8]) -> bool {
    message.starts_with(&MAGIC) && message.get(ORIGIN) == Some(&origin.0[..])
}

/// Decodes a message. The payload shares the message's bytes. JSON is validated once, so that an
/// invalid payload from another publisher never breaks a client's frame.
pub(crate) fn decode(message: Bytes) -> Result<Message, EnvelopeError> {
    let header = message.get(..HEADER).ok_or(EnvelopeError::Foreign)?;
    if header[..2] != MAGIC {
        return Err(EnvelopeError::Foreign);
    }
    if header[2] != VERSION {
        return Err(EnvelopeError::Version(header[2]));
    }
    let len = |at: usize| {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        usize::try_from(u32::from_be_bytes(bytes)).map_err(|_| EnvelopeError::CutOff)
    };
    let event_at = HEADER.checked_add(len(20)?).ok_or(EnvelopeError::CutOff)?;
    let body_at = event_at
        .checked_add(len(24)?)
        .ok_or(EnvelopeError::CutOff)?;
    let text = |from: usize, to: usize, what| {
        let bytes = message.get(from..to).ok_or(EnvelopeError::CutOff)?;
        std::str::from_utf8(bytes).map_err(|_| EnvelopeError::Malformed(what))
    };
    let topic = text(HEADER, event_at, "topic")?;
    let event = text(event_at, body_at, "event")?;
    let body = message.slice(body_at..);
    let payload = match header[3] {
        JSON => ByteString::try_from(body)
            .ok()
            .and_then(|text| Payload::from_json_text(text).ok())
            .ok_or(EnvelopeError::Malformed("payload"))?,
        BINARY => Payload::binary(body),
        UNSEALED_MESSAGE => return Err(EnvelopeError::Unsealed),
        NODE_MESSAGE => {
            let to = Origin(*body.first_chunk().ok_or(EnvelopeError::CutOff)?);
            let sealed_at = body_at + to.0.len();
            // The header has room for it.
            let from = Origin(*header[ORIGIN].first_chunk().ok_or(EnvelopeError::CutOff)?);
            return Ok(Message::NodeMessage(NodeMessage {
                from: Peer {
                    node: topic.to_owned(),
                    origin: from,
                },
                to,
                mailbox: event.to_owned(),
                clear: message.slice(..sealed_at),
                sealed: message.slice(sealed_at..),
            }));
        }
        _ => return Err(EnvelopeError::Malformed("kind")),
    };
    Ok(Message::Broadcast(Broadcast::new(topic, event, payload)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: &Broadcast, b: &Broadcast) -> bool {
        (a.topic(), a.event(), a.payload()) == (b.topic(), b.event(), b.payload())
    }

    fn payloads() -> impl Strategy<Value = Payload> {
        prop_oneof![
            any::<Vec<u8>>().prop_map(Payload::binary),
            any::<Vec<String>>().prop_map(|value| Payload::json(&value).unwrap()),
            Just(Payload::empty()),
        ]
    }

    #[test]
    fn two_origins_differ_and_each_knows_its_own() {
        let (one, two) = (Origin::random(), Origin::random());
        assert_ne!(one, two);
        let bytes = encode(one, &Broadcast::new("t", "e", Payload::empty()));
        assert!(is_from(one, &bytes) && !is_from(two, &bytes));
        assert!(!is_from(one, b"ch"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = encode(
            Origin([7; 16]),
            &Broadcast::new("room:1", "e", Payload::empty()),
        );
        let with = |at: usize, byte: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = byte;
            decode(bytes.into()).unwrap_err()
        };
        assert_eq!(decode(Bytes::new()).unwrap_err(), EnvelopeError::Foreign);
        assert_eq!(with(0, b'x'), EnvelopeError::Foreign);
        assert_eq!(with(2, 2), EnvelopeError::Version(2));
        assert_eq!(with(3, 9), EnvelopeError::Malformed("kind"));
        assert_eq!(with(3, UNSEALED_MESSAGE), EnvelopeError::Unsealed);
        assert_eq!(with(3, NODE_MESSAGE), EnvelopeError::CutOff);
        assert_eq!(with(20, 0xff), EnvelopeError::CutOff);
        assert_eq!(with(28, 0xff), EnvelopeError::Malformed("topic"));
        assert_eq!(with(35, b'!'), EnvelopeError::Malformed("payload"));
        assert_eq!(
            decode(good.slice(..30)).unwrap_err(),
            EnvelopeError::CutOff,
            "cut in the topic"
        );
    }

    proptest! {
        #[test]
        fn properties_what_is_encoded_is_decoded(
            topic in ".*", event in ".*", payload in payloads(), origin: [u8; 16],
        ) {
            let broadcast = Broadcast::new(topic, event, payload);
            let bytes = encode(Origin(origin), &broadcast);
            prop_assert!(is_from(Origin(origin), &bytes));
            let Message::Broadcast(decoded) = decode(bytes).unwrap() else { panic!("mail") };
            prop_assert!(same(&decoded, &broadcast));
        }

        #[test]
        fn properties_no_bytes_make_the_decoder_panic(
            noise: Vec<u8>, at: usize, byte: u8, cut: usize, payload in payloads(),
        ) {
            let _ = decode(noise.clone().into());
            let framed = [&b"ch\x01\x00"[..], &noise].concat();
            let _ = decode(framed.into());
            let mut bytes = encode(Origin([1; 16]), &Broadcast::new("a", "b", payload)).to_vec();
            let len = bytes.len();
            bytes[at % len] = byte;
            bytes.truncate(cut % (len + 1));
            let _ = decode(bytes.into());
        }
    }
}
