//! Version 2: JSON arrays with a join_ref, and binary frames.

use std::{fmt, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::{
    DecodeError, Frame, MAX_NAME_BYTES, Message, Push, Reply, Serializer, Term, is_plain, reserved,
    v2_text::V2Text, write_json_str,
};
use crate::{Broadcast, Error, Payload};

/// `[join_ref, ref, topic, event, payload]` as text, and binary frames with one byte a length.
///
/// Mirrors `Phoenix.Socket.V2.JSONSerializer`. To a client that polls, a binary payload goes out
/// as the JSON `{"base64": "…"}`, in the standard alphabet with padding: no such client reads
/// binary frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct V2;

/// The first byte of a binary frame.
mod kind {
    pub(super) const PUSH: u8 = 0;
    pub(super) const REPLY: u8 = 1;
    pub(super) const BROADCAST: u8 = 2;
}

/// What a reply has between its parts.
const STATUS: &str = "\",{\"status\":";
const RESPONSE: &str = ",\"response\":";

/// How long a reply is, but for its parts.
const REPLY_LEN: usize =
    "[,,,\"\"\"}]".len() + reserved::REPLY.len() + STATUS.len() + RESPONSE.len();

impl Serializer for V2 {
    fn decode(&self, frame: Frame) -> Result<Message, DecodeError> {
        let mut message = match frame {
            Frame::Text(text) => decode_text(&text)?,
            Frame::Binary(bytes) => decode_binary(&bytes)?,
        };
        if message.join_ref.is_null() && message.event.as_str() == Some(reserved::JOIN) {
            message.join_ref = message.reference.clone();
        }
        Ok(message)
    }

    fn reply(&self, reply: Reply<'_>) -> Result<Frame, Error> {
        let Some(response) = reply.payload.as_json() else {
            let fields = [
                ("join_ref", reply.join_ref.as_field()),
                ("ref", reply.reference.as_field()),
                ("topic", reply.topic.as_field()),
                ("status", reply.status),
            ];
            return binary(kind::REPLY, fields, reply.payload);
        };
        let Reply {
            join_ref,
            reference,
            topic,
            status,
            ..
        } = reply;
        let names = join_ref.json_len() + reference.json_len() + topic.json_len() + status.len();
        // With the room it takes, it becomes a frame without another allocation.
        let mut out = String::with_capacity(REPLY_LEN + names + response.len());
        out.push('[');
        join_ref.write_json(&mut out);
        out.push(',');
        reference.write_json(&mut out);
        out.push(',');
        topic.write_json(&mut out);
        out.push_str(",\"");
        out.push_str(reserved::REPLY);
        out.push_str(STATUS);
        write_json_str(&mut out, status);
        out.push_str(RESPONSE);
        out.push_str(response);
        out.push_str("}]");
        Ok(Frame::Text(out.into()))
    }

    fn push(&self, push: Push<'_>) -> Result<Frame, Error> {
        if push.payload.as_json().is_some() {
            return Ok(array(
                push.join_ref,
                push.reference,
                push.topic,
                push.event,
                push.payload,
            ));
        }
        let fields = [
            ("join_ref", push.join_ref.as_field()),
            ("topic", push.topic),
            ("event", push.event),
        ];
        binary(kind::PUSH, fields, push.payload)
    }

    fn broadcast(&self, broadcast: &Broadcast) -> Result<Frame, Error> {
        let (topic, event, payload) = (broadcast.topic(), broadcast.event(), broadcast.payload());
        if payload.as_json().is_some() {
            return Ok(array(&Term::Null, &Term::Null, topic, event, payload));
        }
        binary(
            kind::BROADCAST,
            [("topic", topic.as_str()), ("event", event)],
            payload,
        )
    }

    fn text_only(&self) -> Option<Arc<dyn Serializer>> {
        Some(Arc::new(V2Text))
    }
}

fn array(join_ref: &Term, reference: &Term, topic: &str, event: &str, payload: &Payload) -> Frame {
    let payload = payload.as_json().unwrap_or("null");
    let names = join_ref.json_len() + reference.json_len() + topic.len() + event.len();
    let mut out = String::with_capacity("[,,\"\",\"\",]".len() + names + payload.len());
    out.push('[');
    join_ref.write_json(&mut out);
    out.push(',');
    reference.write_json(&mut out);
    out.push(',');
    write_json_str(&mut out, topic);
    out.push(',');
    write_json_str(&mut out, event);
    out.push(',');
    out.push_str(payload);
    out.push(']');
    Frame::Text(out.into())
}

/// The kind, the length of each field, the fields, the data.
fn binary<const N: usize>(
    kind: u8,
    fields: [(&'static str, &str); N],
    payload: &Payload,
) -> Result<Frame, Error> {
    let data = payload.as_binary().map(Bytes::as_ref).unwrap_or_default();
    let names: usize = fields.iter().map(|(_, text)| text.len()).sum();
    let mut out = BytesMut::with_capacity(1 + N + names + data.len());
    out.put_u8(kind);
    for (field, text) in fields {
        let len = u8::try_from(text.len()).map_err(|_| Error::FieldTooLong {
            field,
            len: text.len(),
        })?;
        out.put_u8(len);
    }
    for (_, text) in fields {
        out.put_slice(text.as_bytes());
    }
    out.put_slice(data);
    Ok(Frame::Binary(out.freeze()))
}

fn decode_text(text: &ByteString) -> Result<Message, DecodeError> {
    match read_plain(text) {
        Some(message) => Ok(message),
        None => read_any(text),
    }
}

/// A message whose first four parts are null or text without escapes, as clients write them.
fn read_plain(text: &ByteString) -> Option<Message> {
    let mut rest = text.strip_prefix('[')?;
    let mut next = || {
        if let Some(after) = rest.strip_prefix("null,") {
            rest = after;
            return Some(Term::Null);
        }
        let inside = rest.strip_prefix('"')?;
        let (name, after) = inside.split_at(inside.bytes().position(|byte| !is_plain(byte))?);
        rest = after.strip_prefix("\",")?;
        (name.len() <= MAX_NAME_BYTES).then(|| Term::Text(SmolStr::new(name)))
    };
    let [join_ref, reference, topic, event] = [next()?, next()?, next()?, next()?];
    let payload: &RawValue = serde_json::from_str(rest.strip_suffix(']')?).ok()?;
    Some(Message {
        join_ref,
        reference,
        topic,
        event,
        payload: Payload::from_checked_json(text.slice_ref(payload.get())),
    })
}

/// Any message, or why it is none.
fn read_any(text: &ByteString) -> Result<Message, DecodeError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let malformed = |error: serde_json::Error| DecodeError::Malformed(error.to_string());
    let [join_ref, reference, topic, event, payload] =
        reader.deserialize_seq(Parts).map_err(malformed)?;
    reader.end().map_err(malformed)?;
    Ok(Message {
        join_ref: Term::from_raw(join_ref, "join_ref")?,
        reference: Term::from_raw(reference, "ref")?,
        topic: Term::from_raw(topic, "topic")?,
        event: Term::from_raw(event, "event")?,
        payload: Payload::from_checked_json(text.slice_ref(payload.get())),
    })
}

/// The five parts of a message, still as text; further elements are ignored.
struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = [&'de RawValue; 5];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[join_ref, ref, topic, event, payload]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut next = |at| {
            seq.next_element::<&'de RawValue>()?
                .ok_or_else(|| A::Error::invalid_length(at, &self))
        };
        let parts = [next(0)?, next(1)?, next(2)?, next(3)?, next(4)?];
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(parts)
    }
}

fn decode_binary(bytes: &Bytes) -> Result<Message, DecodeError> {
    let (&kind, rest) = bytes
        .split_first()
        .ok_or(DecodeError::Binary("it is empty"))?;
    if kind != kind::PUSH {
        return Err(DecodeError::Binary("a client sends only pushes, kind 0"));
    }
    let (lengths, rest) = rest
        .split_at_checked(4)
        .ok_or(DecodeError::Binary("shorter than its header"))?;
    let mut rest = rest;
    let mut field = |at: usize, name: &'static str| {
        let (head, tail) = rest
            .split_at_checked(usize::from(lengths[at]))
            .ok_or(DecodeError::Binary("shorter than its lengths say"))?;
        rest = tail;
        let text = std::str::from_utf8(head).map_err(|_| DecodeError::Utf8(name))?;
        Ok(Term::Text(SmolStr::new(text)))
    };
    Ok(Message {
        join_ref: field(0, "join_ref")?,
        reference: field(1, "ref")?,
        topic: field(2, "topic")?,
        event: field(3, "event")?,
        payload: Payload::binary(bytes.slice_ref(rest)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &str) -> Result<Message, DecodeError> {
        V2.decode(Frame::Text(json.into()))
    }

    #[test]
    fn refs_keep_their_type_and_their_digits() {
        let message = decode(r#"[1,123456789012345678901234567890,"t","e",{"a":1.50}]"#).unwrap();
        assert_eq!(message.join_ref, Term::Json("1".into()));
        assert_ne!(message.join_ref, Term::from("1"));
        assert_eq!(
            message.reference,
            Term::Json("123456789012345678901234567890".into())
        );
        assert_eq!(message.payload.as_json(), Some(r#"{"a":1.50}"#));
    }

    #[test]
    fn text_is_compared_by_value_not_by_its_escapes() {
        let message = decode(r#"["\u0031","1","t","e",{}]"#).unwrap();
        assert_eq!(message.join_ref, Term::from("1"));
    }

    #[test]
    fn a_sixth_element_is_ignored_and_a_missing_fifth_is_not() {
        assert!(decode(r#"["1","2","t","e",{},"x"]"#).is_ok());
        for json in [
            "",
            "[]",
            "\"x\"",
            r#"["1","2","t","e"]"#,
            r#"[1,2,"t","e",{}] x"#,
            "{}",
        ] {
            assert!(
                matches!(decode(json), Err(DecodeError::Malformed(_))),
                "{json}"
            );
        }
    }

    #[test]
    fn a_join_without_join_ref_takes_its_ref() {
        let message = decode(r#"[null,"4","t","phx_join",{}]"#).unwrap();
        assert_eq!(message.join_ref, Term::from("4"));
        assert_eq!(
            decode(r#"[null,"4","t","e",{}]"#).unwrap().join_ref,
            Term::Null
        );
    }

    #[test]
    fn a_plain_message_is_read_as_any_other_is() {
        for json in [
            r#"["1","2","t","e",{"a":1}]"#,
            r#"[null,"2","t","e", [1] ]"#,
            r#"["","","","",null]"#,
        ] {
            let json = ByteString::from(json);
            let plain = read_plain(&json);
            assert!(plain.is_some() && plain == read_any(&json).ok(), "{json}");
        }
        let long = "t".repeat(MAX_NAME_BYTES + 1);
        for json in [
            r#"[ "1","2","t","e",{}]"#.to_owned(),
            r#"["1",2,"t","e",{}]"#.to_owned(),
            r#"["1","2","\u0074","e",{}]"#.to_owned(),
            "[\"1\",\"2\",\"t\n\",\"e\",{}]".to_owned(),
            r#"["1","2","t","e",{},1]"#.to_owned(),
            r#"["1","2","t","e",]"#.to_owned(),
            r#"["1","2","t","e",{}"#.to_owned(),
            format!(r#"["1","2","{long}","e",{{}}]"#),
        ] {
            assert_eq!(read_plain(&json.as_str().into()), None, "{json}");
        }
    }

    #[test]
    fn a_name_over_the_limit_is_refused() {
        let topic = "t".repeat(super::super::MAX_NAME_BYTES + 1);
        assert_eq!(
            decode(&format!(r#"["1","2","{topic}","e",{{}}]"#)),
            Err(DecodeError::TooLong("topic"))
        );
    }

    #[test]
    fn a_binary_push_is_read_by_its_lengths() {
        let frame = Bytes::from_static(b"\x00\x01\x02\x01\x0113\xc3\xa9e\xff\x00");
        let message = V2.decode(Frame::Binary(frame));
        assert_eq!(
            message,
            Err(DecodeError::Utf8("ref")),
            "lengths count bytes"
        );
        let frame = Bytes::from_static(b"\x00\x01\x01\x02\x0113\xc3\xa9e\xff\x00");
        let message = V2.decode(Frame::Binary(frame)).unwrap();
        assert_eq!(message.topic, Term::from("é"));
        assert_eq!(message.payload, Payload::binary(vec![0xff, 0]));
    }

    #[test]
    fn a_short_or_foreign_binary_frame_is_refused() {
        for bytes in [
            &b""[..],
            b"\x00\x01\x01",
            b"\x00\xff\x01\x01\x01abc",
            b"\x02\x01\x01te",
        ] {
            let frame = Frame::Binary(Bytes::copy_from_slice(bytes));
            assert!(
                matches!(V2.decode(frame), Err(DecodeError::Binary(_))),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_field_of_256_bytes_cannot_be_binary() {
        let payload = Payload::binary(vec![1]);
        let event = "e".repeat(256);
        let push = |event| Push {
            join_ref: &Term::Null,
            reference: &Term::Null,
            topic: "t",
            event,
            payload: &payload,
        };
        assert!(matches!(
            V2.push(push(&event)),
            Err(Error::FieldTooLong {
                field: "event",
                len: 256
            })
        ));
        assert!(V2.push(push(&event[..255])).is_ok());
    }
}
