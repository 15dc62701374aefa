//! Version 2 for clients that can be sent text only.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde_json::json;

use super::super::{
    Broadcast, DecodeError, EncodeError, Frame, Message, Payload, Push, Reply, Serializer,
};
use super::V2;

/// As [`V2`], with `{"base64": "…"}` for a binary payload.
pub(super) struct V2Text;

impl Serializer for V2Text {
    fn decode(&self, frame: Frame) -> Result<Message, DecodeError> {
        V2.decode(frame)
    }

    fn reply(&self, reply: Reply<'_>) -> Result<Frame, EncodeError> {
        let payload = &*text(reply.payload)?;
        V2.reply(Reply { payload, ..reply })
    }

    fn push(&self, push: Push<'_>) -> Result<Frame, EncodeError> {
        let payload = &*text(push.payload)?;
        V2.push(Push { payload, ..push })
    }

    fn broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError> {
        match text(broadcast.payload())? {
            Cow::Borrowed(_) => V2.broadcast(broadcast),
            Cow::Owned(payload) => {
                let (topic, event) = (broadcast.topic().clone(), broadcast.event());
                V2.broadcast(&Broadcast::new(topic, event, payload))
            }
        }
    }
}

fn text(payload: &Payload) -> Result<Cow<'_, Payload>, EncodeError> {
    match payload.as_binary() {
        None => Ok(Cow::Borrowed(payload)),
        Some(bytes) => Payload::json(&json!({ "base64": BASE64.encode(bytes) })).map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Term;

    fn shown(frame: Result<Frame, EncodeError>) -> String {
        match frame {
            Ok(Frame::Text(text)) => text.to_string(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    #[test]
    fn binary_payloads_are_base64_in_json_and_others_as_ever() {
        let serializer = V2.text_only().unwrap();
        let (one, null) = (Term::from("1"), Term::Null);
        let topic = "t".repeat(300);
        let bytes = Payload::binary(vec![0, 255, 254]);
        for (payload, json) in [(bytes, r#"{"base64":"AP/+"}"#), (Payload::empty(), "{}")] {
            let reply = Reply {
                join_ref: &one,
                reference: &one,
                topic: &Term::from(topic.as_str()),
                status: "ok",
                payload: &payload,
            };
            let expected =
                format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{json}}}]"#);
            assert_eq!(shown(serializer.reply(reply)), expected);
            let push = Push {
                join_ref: &one,
                reference: &null,
                topic: &topic,
                event: "e",
                payload: &payload,
            };
            let expected = format!(r#"["1",null,"{topic}","e",{json}]"#);
            assert_eq!(shown(serializer.push(push)), expected);
            let broadcast = Broadcast::new(topic.as_str(), "e", payload);
            let expected = format!(r#"[null,null,"{topic}","e",{json}]"#);
            assert_eq!(shown(serializer.broadcast(&broadcast)), expected);
        }
    }
}
