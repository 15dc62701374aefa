//! For any input of a client, the session answers each message at most once, keeps the topics of a
//! simple model, and never holds more channels than it may.

use std::collections::HashMap;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::protocol::Serializers;

const MAX_CHANNELS: usize = 3;

/// One event of a session.
#[derive(Clone, Debug)]
enum Step {
    /// A well-formed frame.
    Frame {
        join_ref: &'static str,
        topic: &'static str,
        event: &'static str,
        room: Room,
    },
    /// The nth channel that was started ends by itself, if it still runs.
    End(usize),
    /// Any text.
    Text(String),
    Binary(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let topics = [
        "room:a", "room:b", "room:c", "room:d", "phoenix", "nope", "",
    ];
    let events = [
        "phx_join",
        "phx_join",
        "phx_leave",
        "heartbeat",
        "e",
        "phx_close",
    ];
    let refs = ["null", "\"1\"", "\"2\"", "1", "0", "{\"a\":1}"];
    prop_oneof![
        8 => (select(refs.to_vec()), select(topics.to_vec()), select(events.to_vec()), room())
            .prop_map(|(join_ref, topic, event, room)| Step::Frame { join_ref, topic, event, room }),
        3 => (0..8_usize).prop_map(Step::End),
        1 => ".{0,40}".prop_map(Step::Text),
        1 => vec(any::<u8>(), 0..40).prop_map(Step::Binary),
    ]
}

fn room() -> impl Strategy<Value = Room> {
    prop_oneof![4 => Just(Room::Free), 1 => Just(Room::Later), 1 => Just(Room::Never)]
}

/// The expected state of a session, kept in the simplest way.
#[derive(Default)]
struct Model {
    /// The joins, with the join_ref as the client gave it.
    joined: HashMap<Topic, (ChannelId, Term)>,
    running: Vec<(Topic, ChannelId)>,
}

fn route(topic: &str) -> Option<usize> {
    topic.starts_with("room:").then_some(0)
}

fn check(
    session: &mut Session<ChannelId>,
    model: &mut Model,
    v1: bool,
    (frame, message): (Frame, &Message),
    room: Room,
) {
    let effect = session
        .receive(frame.clone(), room, route)
        .expect("the frame has been decoded before");
    let topic = Topic::from(message.topic.as_str().unwrap_or_default());
    let current = model.joined.get(&topic).cloned();
    match effect {
        Effect::Start(Join {
            id,
            topic,
            predecessor,
            message: mut started,
            ..
        }) => {
            let named = !message.join_ref.is_null();
            let join_ref = match named || v1 {
                true => message.join_ref.clone(),
                false => message.reference.clone(),
            };
            assert_eq!(started.join_ref, join_ref);
            started.join_ref = message.join_ref.clone();
            assert_eq!((&started, room), (message, Room::Free));
            assert_eq!(
                predecessor.map(|former| former.handle),
                current.map(|(id, _)| id)
            );
            session.started(&topic, id, id);
            model.joined.insert(topic.clone(), (id, started.join_ref));
            model.running.push((topic, id));
        }
        Effect::Deliver {
            to,
            message: delivered,
        } => {
            let (id, join_ref) = current.expect("a message goes to a joined channel only");
            assert_eq!((to, &delivered), (id, message));
            let any = message.join_ref.is_null() || join_ref.is_null();
            assert!(any || message.join_ref == join_ref);
            assert_eq!(room, Room::Free);
        }
        Effect::Leave { to, .. } => {
            let (id, _) = current.expect("only a joined channel is left");
            assert_eq!(to, id);
        }
        Effect::Send(_) => {
            let foreign = current.is_none() || message.event.as_str() == Some("phx_join");
            assert!(
                foreign || topic.as_str() == "phoenix" || room == Room::Never,
                "{message:?} was answered early"
            );
        }
        Effect::Ignore => {
            let (_, join_ref) = current.expect("without a channel there is an answer");
            assert!(!message.join_ref.is_null() && !join_ref.is_null());
            assert_ne!(message.join_ref, join_ref);
        }
        Effect::Wait => {
            assert_eq!(room, Room::Later);
            // Nothing has happened: the message comes again.
            check(session, model, v1, (frame, message), Room::Free);
        }
    }
    assert!(session.channels.len() <= MAX_CHANNELS);
    assert!(session.live <= 2 * MAX_CHANNELS);
    assert_eq!(session.channels.len(), model.joined.len());
}

fn play(vsn: &str, steps: Vec<Step>) {
    let serializer = Serializers::default().negotiate(vsn).unwrap();
    let mut session = Session::new(serializer.clone(), MAX_CHANNELS);
    let mut model = Model::default();
    for (n, step) in steps.into_iter().enumerate() {
        let mut room = Room::Free;
        let frame = match step {
            Step::End(nth) => {
                if nth < model.running.len() {
                    let (topic, id) = model.running.remove(nth);
                    session.ended(&topic, id);
                    if model
                        .joined
                        .get(&topic)
                        .is_some_and(|(joined, _)| *joined == id)
                    {
                        model.joined.remove(&topic);
                    }
                }
                continue;
            }
            Step::Frame {
                join_ref,
                topic,
                event,
                room: there_is,
            } if vsn == "2.0.0" => {
                room = there_is;
                Frame::Text(format!(r#"[{join_ref},"{n}","{topic}","{event}",{{}}]"#).into())
            }
            Step::Frame {
                join_ref,
                topic,
                event,
                room: there_is,
            } => {
                room = there_is;
                let rest = match join_ref {
                    "null" => String::new(),
                    given => format!(r#","join_ref":{given}"#),
                };
                let message = format!(
                    r#"{{"topic":"{topic}","event":"{event}","ref":"{n}","payload":{{}}{rest}}}"#
                );
                Frame::Text(message.into())
            }
            Step::Text(text) => Frame::Text(text.into()),
            Step::Binary(bytes) => Frame::Binary(Bytes::from(bytes)),
        };
        match serializer.decode(frame.clone()) {
            Ok(message) => {
                let v1 = vsn == "1.0.0";
                check(&mut session, &mut model, v1, (frame, &message), room);
            }
            Err(_) => assert!(session.receive(frame, room, route).is_err()),
        }
    }
}

proptest! {
    #[test]
    fn a_session_keeps_to_its_model_whatever_comes(
        vsn in select(&["1.0.0", "2.0.0"][..]),
        steps in vec(step(), 0..60),
    ) {
        play(vsn, steps);
    }
}
