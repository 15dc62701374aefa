use super::*;
use crate::protocol::Serializers;

fn session() -> Session<u64> {
    of_version("2.0.0")
}

fn of_version(vsn: &str) -> Session<u64> {
    Session::new(Serializers::default().negotiate(vsn).unwrap(), 2)
}

/// Returns a message of version 1, with a join_ref or without.
fn v1(join_ref: Option<&str>, event: &str) -> String {
    let join_ref = join_ref.map_or(String::new(), |given| format!(r#","join_ref":{given}"#));
    format!(r#"{{"topic":"room:a","event":"{event}","payload":{{}},"ref":"9"{join_ref}}}"#)
}

#[test]
fn a_join_ref_of_version_1_is_taken_where_it_is_given() {
    let mut session = of_version("1.0.0");
    join(&mut session, &v1(Some(r#""1""#), "phx_join"));
    let (_, _, former) = join(&mut session, &v1(Some(r#""2""#), "phx_join"));
    assert_eq!(former.unwrap().join_ref, Term::from("1"));
    for event in ["e", "phx_leave"] {
        let stale = receive(&mut session, &v1(Some(r#""1""#), event));
        assert!(matches!(stale, Effect::Ignore), "{event}: {stale:?}");
    }
    for join_ref in [None, Some("null"), Some(r#""2""#)] {
        let effect = receive(&mut session, &v1(join_ref, "e"));
        assert!(
            matches!(effect, Effect::Deliver { to: 2, .. }),
            "{effect:?}"
        );
    }
    let left = receive(&mut session, &v1(Some(r#""2""#), "phx_leave"));
    assert!(matches!(left, Effect::Leave { to: 2, .. }), "{left:?}");
}

#[test]
fn a_join_of_version_1_without_join_ref_has_none_and_takes_every_message() {
    let mut session = of_version("1.0.0");
    join(&mut session, &v1(None, "phx_join"));
    let pushed = receive(&mut session, &v1(Some(r#""9""#), "e"));
    assert!(matches!(pushed, Effect::Deliver { .. }), "{pushed:?}");
    let (_, _, former) = join(&mut session, &v1(None, "phx_join"));
    assert_eq!(former.unwrap().join_ref, Term::Null);
}

#[test]
fn a_join_of_version_2_without_join_ref_goes_by_its_ref() {
    let mut session = session();
    let joined = r#"[null,4,"room:a","phx_join",{}]"#;
    let Effect::Start(Join { message, .. }) = receive(&mut session, joined) else {
        panic!("the join starts nothing");
    };
    assert_eq!(message.join_ref, Term::Json("4".into()));
    let full = session
        .receive(Frame::Text(joined.into()), Room::Never, |_| Some(0))
        .unwrap();
    assert!(text(full).starts_with(r#"[4,4,"room:a","phx_reply","#));
}

fn receive(session: &mut Session<u64>, json: &str) -> Effect<u64> {
    let route = |topic: &str| topic.starts_with("room:").then_some(0);
    session
        .receive(Frame::Text(json.into()), Room::Free, route)
        .unwrap()
}

fn join(session: &mut Session<u64>, json: &str) -> (Topic, ChannelId, Option<Former<u64>>) {
    match receive(session, json) {
        Effect::Start(Join {
            id,
            topic,
            predecessor,
            ..
        }) => {
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
fn a_join_without_join_ref_takes_messages_with_its_ref_with_another_and_with_none() {
    let joins = [
        r#"[null,"1","room:a","phx_join",{}]"#,
        r#"[null,1,"room:a","phx_join",{}]"#,
        r#"[null,null,"room:a","phx_join",{}]"#,
    ];
    for joined in joins {
        for join_ref in [r#""1""#, "1", "null", r#""7""#, r#""""#] {
            for event in ["e", "phx_leave"] {
                let mut session = session();
                join(&mut session, joined);
                let message = format!(r#"[{join_ref},"2","room:a","{event}",{{}}]"#);
                let effect = receive(&mut session, &message);
                assert!(
                    matches!(effect, Effect::Deliver { .. } | Effect::Leave { .. }),
                    "{message} after {joined}: {effect:?}"
                );
            }
        }
    }
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
fn without_room_for_now_a_message_waits_and_what_needs_none_does_not() {
    let mut session = session();
    join(&mut session, r#"["1","1","room:a","phx_join",{}]"#);
    let route = |topic: &str| topic.starts_with("room:").then_some(0);
    let mut receive = |json: &str| {
        session
            .receive(Frame::Text(json.into()), Room::Later, route)
            .unwrap()
    };
    for message in [
        r#"["2","2","room:a","phx_join",{}]"#,
        r#"["2","2","room:b","phx_join",{}]"#,
        r#"["1","2","room:a","e",{}]"#,
    ] {
        assert!(matches!(receive(message), Effect::Wait), "{message}");
    }
    let stale = receive(r#"["0","2","room:a","e",{}]"#);
    assert!(matches!(stale, Effect::Ignore));
    for unmatched in ["phx_join", "e"] {
        let reply = text(receive(&format!(
            r#"["1","2","nobody","{unmatched}",{{}}]"#
        )));
        assert!(reply.contains("unmatched topic"), "{reply}");
    }
    assert!(text(receive(r#"[null,"2","phoenix","heartbeat",{}]"#)).contains("ok"));
    let leave = receive(r#"["1","2","room:a","phx_leave",{}]"#);
    assert!(matches!(leave, Effect::Leave { .. }));
}

#[test]
fn without_room_only_leaves_and_heartbeats_are_taken() {
    let mut session = session();
    join(&mut session, r#"["1","1","room:a","phx_join",{}]"#);
    let mut receive = |json: &str| {
        session
            .receive(Frame::Text(json.into()), Room::Never, |_| Some(0))
            .unwrap()
    };
    for event in ["phx_join", "e"] {
        let reply = text(receive(&format!(r#"["1","2","room:a","{event}",{{}}]"#)));
        assert!(reply.contains("channel overloaded"), "{reply}");
    }
    assert!(text(receive(r#"[null,"2","phoenix","heartbeat",{}]"#)).contains("ok"));
    let leave = receive(r#"["1","2","room:a","phx_leave",{}]"#);
    assert!(matches!(leave, Effect::Leave { .. }));
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

#[test]
fn only_the_first_leave_of_a_join_passes_the_bounds() {
    let mut session = session();
    join(&mut session, r#"["1","1","room:a","phx_join",{}]"#);
    let leave = r#"["1","2","room:a","phx_leave",{}]"#;
    assert!(matches!(receive(&mut session, leave), Effect::Leave { .. }));
    assert!(matches!(
        receive(&mut session, leave),
        Effect::Deliver { .. }
    ));
    let full = session
        .receive(Frame::Text(leave.into()), Room::Never, |_| Some(0))
        .unwrap();
    assert!(text(full).contains("channel overloaded"));
}
