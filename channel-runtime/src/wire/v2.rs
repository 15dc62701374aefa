//! Version 2: JSON arrays with a join_ref, and binary frames.

use std::{fmt, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::{
    DecodeError, Frame, Message, Push, Reply, Serializer, Term, into_text, reserved,
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
        let mut out = Vec::with_capacity(96 + response.len());
        out.push(b'[');
        reply.join_ref.write_json(&mut out);
        out.push(b',');
        reply.reference.write_json(&mut out);
        out.push(b',');
        reply.topic.write_json(&mut out);
        out.extend_from_slice(b",\"");
        out.extend_from_slice(reserved::REPLY.as_bytes());
        out.extend_from_slice(b"\",{\"status\":");
        write_json_str(&mut out, reply.status);
        out.extend_from_slice(b",\"response\":");
        out.extend_from_slice(response.as_bytes());
        out.extend_from_slice(b"}]");
        Ok(Frame::Text(into_text(out)))
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
    let mut out = Vec::with_capacity(40 + topic.len() + event.len() + payload.len());
    out.push(b'[');
    join_ref.write_json(&mut out);
    out.push(b',');
    reference.write_json(&mut out);
    out.push(b',');
    write_json_str(&mut out, topic);
    out.push(b',');
    write_json_str(&mut out, event);
    out.push(b',');
    out.extend_from_slice(payload.as_json().unwrap_or("null").as_bytes());
    out.push(b']');
    Frame::Text(into_text(out))
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
