//! Version 1: JSON objects, with an optional join_ref, and no binary payloads.

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Broadcast, DecodeError, EncodeError, Frame, Message, Payload, Push, Reply, Serializer, Term,
    reserved, write_json_str,
};

/// `{"topic", "event", "payload", "ref"}`, as spoken by clients older than Phoenix 1.4.
///
/// A client may add a `join_ref` to the join and to its later messages, as Supabase's clients do.
/// Messages of another join are then dropped, and `phx_close` and `phx_error` carry it as their
/// `ref`, which is null otherwise. Without one, every message belongs to the currently joined
/// channel. Binary frames that hold JSON are read; binary payloads cannot be sent. Mirrors
/// `Phoenix.Socket.V1.JSONSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct V1;

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    topic: &'a RawValue,
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, rename = "ref")]
    reference: &'a RawValue,
    #[serde(borrow, default)]
    join_ref: Option<&'a RawValue>,
}

impl Serializer for V1 {
    fn decode(&self, frame: Frame) -> Result<Message, DecodeError> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(bytes) => ByteString::try_from(bytes)
                .map_err(|_| DecodeError::Malformed("not UTF-8".to_owned()))?,
        };
        // Serde would accept an array as the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(DecodeError::Malformed("expected an object".to_owned()));
        }
        let object: Object<'_> = serde_json::from_str(&text)
            .map_err(|error| DecodeError::Malformed(error.to_string()))?;
        Ok(Message {
            join_ref: object
                .join_ref
                .map_or(Ok(Term::Null), |raw| Term::from_raw(raw, "join_ref"))?,
            reference: Term::from_raw(object.reference, "ref")?,
            topic: Term::from_raw(object.topic, "topic")?,
            event: Term::from_raw(object.event, "event")?,
            payload: Payload::from_checked_json(text.slice_ref(object.payload.get())),
        })
    }

    fn reply(&self, reply: Reply<'_>) -> Result<Frame, EncodeError> {
        let response = json(reply.payload)?;
        let mut out = String::with_capacity(64 + response.len());
        out.push_str("{\"topic\":");
        reply.topic.write_json(&mut out);
        out.push_str(",\"event\":\"");
        out.push_str(reserved::REPLY);
        out.push_str("\",\"ref\":");
        reply.reference.write_json(&mut out);
        out.push_str(",\"payload\":{\"status\":");
        write_json_str(&mut out, reply.status);
        out.push_str(",\"response\":");
        out.push_str(response);
        out.push_str("}}");
        Ok(Frame::Text(out.into()))
    }

    fn push(&self, push: Push<'_>) -> Result<Frame, EncodeError> {
        object(push.topic, push.event, push.reference, push.payload)
    }

    fn broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError> {
        object(
            broadcast.topic(),
            broadcast.event(),
            &Term::Null,
            broadcast.payload(),
        )
    }

    fn names_joins(&self) -> bool {
        false
    }
}

fn json(payload: &Payload) -> Result<&str, EncodeError> {
    payload.as_json().ok_or(EncodeError::BinaryUnsupported)
}

fn object(
    topic: &str,
    event: &str,
    reference: &Term,
    payload: &Payload,
) -> Result<Frame, EncodeError> {
    let payload = json(payload)?;
    let mut out = String::with_capacity(48 + topic.len() + event.len() + payload.len());
    out.push_str("{\"topic\":");
    write_json_str(&mut out, topic);
    out.push_str(",\"event\":");
    write_json_str(&mut out, event);
    out.push_str(",\"ref\":");
    reference.write_json(&mut out);
    out.push_str(",\"payload\":");
    out.push_str(payload);
    out.push('}');
    Ok(Frame::Text(out.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &str) -> Result<Message, DecodeError> {
        V1.decode(Frame::Text(json.into()))
    }

    #[test]
    fn every_key_but_join_ref_is_required() {
        assert!(decode(r#"{"topic":"t","event":"e","payload":null,"ref":null}"#).is_ok());
        assert!(decode(r#"{"topic":"t","event":"e","payload":{}}"#).is_err());
        assert!(decode(r#"{"topic":"t","event":"e","ref":"1"}"#).is_err());
        assert!(decode(r#"[null,"1","t","e",{}]"#).is_err());
    }

    #[test]
    fn a_join_ref_is_taken_as_it_was_sent_and_is_null_without() {
        let read = |join_ref: &str| {
            let json = r#"{"topic":"t","event":"e","payload":{},"ref":"2"JOIN_REF}"#;
            decode(&json.replace("JOIN_REF", join_ref)).map(|message| message.join_ref)
        };
        assert_eq!(read(""), Ok(Term::Null));
        assert_eq!(read(r#","join_ref":null"#), Ok(Term::Null));
        assert_eq!(read(r#","join_ref":"1""#), Ok(Term::from("1")));
        assert_eq!(read(r#","join_ref":1"#), Ok(Term::Json("1".into())));
        let long = format!(r#","join_ref":"{}""#, "x".repeat(5000));
        assert_eq!(read(&long), Err(DecodeError::TooLong("join_ref")));
    }

    #[test]
    fn a_binary_frame_may_hold_the_json() {
        let json = br#"{"topic":"t","event":"e","payload":{"a":1},"ref":"1"}"#;
        let message = V1
            .decode(Frame::Binary(bytes::Bytes::from_static(json)))
            .unwrap();
        assert_eq!(message.payload.as_json(), Some(r#"{"a":1}"#));
        assert!(
            V1.decode(Frame::Binary(bytes::Bytes::from_static(b"\xff")))
                .is_err()
        );
    }

    #[test]
    fn a_binary_payload_is_an_error_where_it_is_sent() {
        let push = Push {
            join_ref: &Term::Null,
            reference: &Term::Null,
            topic: "t",
            event: "e",
            payload: &Payload::binary(vec![1]),
        };
        assert!(matches!(V1.push(push), Err(EncodeError::BinaryUnsupported)));
    }
}
