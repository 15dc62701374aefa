//! The decoders answer arbitrary bytes with a message or an error, and decode every encoded message
//! unchanged.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{Frame, HEADER_ROOM, Message, Push, Reply, Serializer, Term, V1, V2};
use crate::protocol::Payload;

fn term() -> impl Strategy<Value = Term> {
    prop_oneof![
        Just(Term::Null),
        ".{0,30}".prop_map(|text| Term::from(text.as_str())),
        any::<i64>().prop_map(|number| Term::Json(number.to_string().into())),
        any::<bool>().prop_map(|flag| Term::Json(flag.to_string().into())),
    ]
}

fn payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(".{0,8}", inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn as_json(term: &Term) -> Value {
    match term {
        Term::Null => Value::Null,
        Term::Text(text) => text.as_str().into(),
        Term::Json(json) => serde_json::from_str(json).unwrap(),
    }
}

/// Generates almost valid frames, which random bytes hardly ever are.
fn near_frame() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        payload().prop_map(|value| value.to_string()),
        "[\\[\\]{}\",:0-9a-z\\\\]{0,6}",
    ];
    vec(part, 0..7).prop_map(|parts| format!("[{}]", parts.join(",")))
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        let frame = Frame::Binary(Bytes::from(bytes.clone()));
        let _either = (V1.decode(frame.clone()), V2.decode(frame));
        if let Ok(text) = String::from_utf8(bytes) {
            let frame = Frame::Text(text.into());
            let _either = (V1.decode(frame.clone()), V2.decode(frame));
        }
    }

    #[test]
    fn no_text_that_is_nearly_a_message_makes_a_decoder_panic(text in near_frame()) {
        let frame = Frame::Text(text.clone().into());
        prop_assert!(V1.decode(frame.clone()).is_err());
        let elements = serde_json::from_str::<Vec<Value>>(&text).map(|parts| parts.len());
        let read = V2.decode(frame);
        prop_assert_eq!(&V2.decode_text(&text), &read);
        match read {
            Ok(_) => prop_assert!(elements.is_ok_and(|elements| elements >= 5)),
            Err(error) => prop_assert!(!elements.is_ok_and(|elements| elements >= 5), "{error}"),
        }
    }

    #[test]
    fn a_text_message_is_read_as_it_was_sent(
        join_ref in term(), reference in term(), topic in ".{0,40}", event in ".{0,40}",
        payload in payload(),
    ) {
        let sent = json!([as_json(&join_ref), as_json(&reference), topic, event, payload]);
        let Message { join_ref: j, reference: r, topic: t, event: e, payload: p } =
            V2.decode(Frame::Text(sent.to_string().into())).unwrap();
        prop_assert_eq!((j, r), (join_ref, reference));
        prop_assert_eq!((t.as_str(), e.as_str()), (Some(topic.as_str()), Some(event.as_str())));
        prop_assert_eq!(p.decode::<Value>().unwrap(), payload);
    }

    #[test]
    fn what_the_server_writes_is_json_with_the_same_parts(
        join_ref in term(), reference in term(), topic in ".{0,40}", event in ".{0,40}",
        payload in payload(),
    ) {
        let body = Payload::json(&payload).unwrap();
        let push = Push { join_ref: &join_ref, reference: &reference, topic: &topic, event: &event, payload: &body };
        let Frame::Text(text) = V2.push(push).unwrap() else { panic!("JSON goes as text") };
        let expected = json!([as_json(&join_ref), as_json(&reference), topic, event, payload]);
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        let behind_room = V2.push_behind_room(push).unwrap();
        prop_assert_eq!(&behind_room[HEADER_ROOM..], &*text);

        let topic_term = Term::from(topic.as_str());
        let reply = Reply { join_ref: &join_ref, reference: &reference, topic: &topic_term, status: &event, payload: &body };
        let Frame::Text(text) = V2.reply(reply).unwrap() else { panic!("JSON goes as text") };
        let behind_room = V2.reply_behind_room(reply).unwrap();
        prop_assert_eq!(&behind_room[HEADER_ROOM..], &*text);
        let Frame::Text(text) = V1.reply(reply).unwrap() else { panic!("JSON goes as text") };
        let expected = json!({
            "topic": topic, "event": "phx_reply", "ref": as_json(&reference),
            "payload": {"status": event, "response": payload},
        });
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}
