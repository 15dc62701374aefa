//! Version 2: JSON arrays with a join_ref, and binary frames.

mod read_text;
mod text_only;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use smol_str::SmolStr;

use self::{read_text::read_text, text_only::V2Text};
use super::{
    Broadcast, DecodeError, EncodeError, Frame, Message, Payload, Push, ROOM, Reply, Serializer,
    Term, reserved, write_json_str,
};

/// `[join_ref, ref, topic, event, payload]` as text, and binary frames with one byte per length.
///
/// Mirrors `Phoenix.Socket.V2.JSONSerializer`. Long-poll clients cannot read binary frames, so they
/// get a binary payload as the JSON `{"base64": "…"}`, in the standard alphabet with padding.
#[derive(Clone, Copy, Debug, Default)]
pub struct V2;

/// The first byte of a binary frame.
mod kind {
    pub(super) const PUSH: u8 = 0;
    pub(super) const REPLY: u8 = 1;
    pub(super) const BROADCAST: u8 = 2;
}

/// The text between the parts of a reply.
const STATUS: &str = "\",{\"status\":";
const RESPONSE: &str = ",\"response\":";

/// The length of a reply without its parts.
const REPLY_LEN: usize =
    "[,,,\"\"\"}]".len() + reserved::REPLY.len() + STATUS.len() + RESPONSE.len();

impl Serializer for V2 {
    fn decode(&self, frame: Frame) -> Result<Message, DecodeError> {
        match frame {
            Frame::Text(text) => read_text(&text, |payload| text.slice_ref(payload)),
            Frame::Binary(bytes) => decode_binary(&bytes),
        }
    }

    fn decode_text(&self, text: &str) -> Result<Message, DecodeError> {
        read_text(text, ByteString::from)
    }

    fn reply(&self, reply: Reply<'_>) -> Result<Frame, EncodeError> {
        let Some(response) = reply.payload.as_json() else {
            let fields = [
                ("join_ref", reply.join_ref.as_field()),
                ("ref", reply.reference.as_field()),
                ("topic", reply.topic.as_field()),
                ("status", reply.status),
            ];
            return binary(kind::REPLY, fields, reply.payload);
        };
        Ok(Frame::Text(reply_text("", &reply, response).into()))
    }

    fn reply_behind_room(&self, reply: Reply<'_>) -> Option<String> {
        let response = reply.payload.as_json()?;
        Some(reply_text(ROOM, &reply, response))
    }

    fn push(&self, push: Push<'_>) -> Result<Frame, EncodeError> {
        if push.payload.as_json().is_some() {
            return Ok(Frame::Text(array("", &push).into()));
        }
        let fields = [
            ("join_ref", push.join_ref.as_field()),
            ("topic", push.topic),
            ("event", push.event),
        ];
        binary(kind::PUSH, fields, push.payload)
    }

    fn push_behind_room(&self, push: Push<'_>) -> Option<String> {
        push.payload.as_json()?;
        Some(array(ROOM, &push))
    }

    fn broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError> {
        let (topic, event, payload) = (broadcast.topic(), broadcast.event(), broadcast.payload());
        if payload.as_json().is_some() {
            let push = Push {
                join_ref: &Term::Null,
                reference: &Term::Null,
                topic,
                event,
                payload,
            };
            return Ok(Frame::Text(array("", &push).into()));
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

/// Encodes a reply behind `room`.
fn reply_text(room: &str, reply: &Reply<'_>, response: &str) -> String {
    let Reply {
        join_ref,
        reference,
        topic,
        status,
        ..
    } = *reply;
    let names = join_ref.json_len() + reference.json_len() + topic.json_len() + status.len();
    // The capacity covers the frame, so no other allocation follows.
    let mut out = String::with_capacity(room.len() + REPLY_LEN + names + response.len());
    out.push_str(room);
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
    out
}

/// Encodes a push behind `room`.
fn array(room: &str, push: &Push<'_>) -> String {
    let Push {
        join_ref,
        reference,
        topic,
        event,
        payload,
    } = *push;
    let payload = payload.as_json().unwrap_or("null");
    let names = join_ref.json_len() + reference.json_len() + topic.len() + event.len();
    let mut out =
        String::with_capacity(room.len() + "[,,\"\",\"\",]".len() + names + payload.len());
    out.push_str(room);
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
    out
}

/// Encodes a frame: the kind, the length of each field, the fields, the data.
fn binary<const N: usize>(
    kind: u8,
    fields: [(&'static str, &str); N],
    payload: &Payload,
) -> Result<Frame, EncodeError> {
    let data = payload.as_binary().map(Bytes::as_ref).unwrap_or_default();
    let names: usize = fields.iter().map(|(_, text)| text.len()).sum();
    let mut out = BytesMut::with_capacity(1 + N + names + data.len());
    out.put_u8(kind);
    for (field, text) in fields {
        let len = u8::try_from(text.len()).map_err(|_| EncodeError::FieldTooLong {
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
            Err(EncodeError::FieldTooLong {
                field: "event",
                len: 256
            })
        ));
        assert!(V2.push(push(&event[..255])).is_ok());
    }
}
