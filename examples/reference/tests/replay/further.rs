//! Abilities of the room without a recording.

use std::collections::BTreeMap;

use crate::{
    Outcome,
    frame::{Frame, from_hex, opcode},
    player,
    recording::{Expected, HandlerFuture, Opening, Scenario},
    script::{got, receive, says, send_from},
    server::Server,
};

/// Plays steps of the clients `a`, who is bob, and `b`, who has no name.
async fn play(name: &str, steps: Vec<HandlerFuture>) -> Outcome<()> {
    let opening = |query: &str| Opening {
        path: format!("/socket/websocket?vsn=2.0.0{query}"),
        ..Opening::default()
    };
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let connect = [
        HandlerFuture::Connect(a.clone(), 101),
        HandlerFuture::Connect(b.clone(), 101),
    ];
    let scenario = Scenario {
        name: name.to_owned(),
        group: "further",
        openings: BTreeMap::from([(a, opening("&user=bob")), (b, opening(""))]),
        steps: connect.into_iter().chain(steps).collect(),
    };
    let server = Server::start().await?;
    let played = player::play(&scenario, &server).await;
    played.map_err(|failure| failure.to_string())
}

fn joins(client: &str, topic: &str) -> [HandlerFuture; 2] {
    let id = topic.trim_start_matches("room:");
    let response = format!(r#"{{"status":"ok","response":{{"id":"{id}"}}}}"#);
    [
        send_from(client, &format!(r#"["1","1","{topic}","phx_join",{{}}]"#)),
        receive(
            client,
            &format!(r#"["1","1","{topic}","phx_reply",{response}]"#),
        ),
    ]
}

#[tokio::test]
async fn a_join_may_be_answered_with_bytes() -> Outcome<()> {
    let fields = ["1", "1", "room:binjoin", "ok"];
    let lengths = fields.map(|field| field.len() as u8);
    let reply = [&[1][..], &lengths, fields.concat().as_bytes(), &[1, 2, 3]].concat();
    let steps = vec![
        says(r#"["1","1","room:binjoin","phx_join",{}]"#),
        HandlerFuture::Receive("a".to_owned(), Expected::Binary(reply)),
    ];
    play("binary join", steps).await
}

#[tokio::test]
async fn a_secret_is_seen_by_each_client_in_its_own_way() -> Outcome<()> {
    let mut steps = [joins("a", "room:1"), joins("b", "room:1")].concat();
    steps.extend([
        says(r#"["1","2","room:1","secret",{"n":1}]"#),
        got(r#"["1",null,"room:1","secret",{"n":1,"seen_by":"bob"}]"#),
        receive(
            "b",
            r#"["1",null,"room:1","secret",{"n":1,"seen_by":null}]"#,
        ),
    ]);
    play("secret", steps).await
}

#[tokio::test]
async fn a_broadcast_to_another_room_stays_there() -> Outcome<()> {
    let mut steps = [joins("a", "room:1"), joins("b", "room:other")].concat();
    steps.extend([
        says(r#"["1","2","room:1","unjoined_bcast",{}]"#),
        got(r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#),
        receive("b", r#"[null,null,"room:other","x",{}]"#),
    ]);
    play("unjoined_bcast", steps).await
}

#[tokio::test]
async fn a_shutdown_for_a_reason_is_a_close() -> Outcome<()> {
    let mut steps = joins("a", "room:1").to_vec();
    steps.extend([
        says(r#"["1","2","room:1","stop_shutdown_tuple",{}]"#),
        got(r#"["1","1","room:1","phx_close",{}]"#),
    ]);
    play("stop_shutdown_tuple", steps).await
}

#[tokio::test]
async fn events_of_the_protocol_are_no_messages_of_a_client() -> Outcome<()> {
    let mut steps = joins("a", "room:1").to_vec();
    for event in ["phx_close", "phx_error", "phx_reply", "phx_else"] {
        let refusal = r#"{"status":"error","response":{"reason":"unknown event"}}"#;
        steps.extend([
            says(&format!(r#"["1","2","room:1","{event}",{{}}]"#)),
            got(&format!(r#"["1","2","room:1","phx_reply",{refusal}]"#)),
        ]);
    }
    play("reserved events", steps).await
}

#[tokio::test]
async fn nothing_follows_the_answer_to_a_close() -> Outcome<()> {
    // A reply that a channel still owes does not come, either.
    let mut steps = joins("a", "room:1").to_vec();
    let a = || "a".to_owned();
    steps.extend([
        says(r#"["1","2","room:1","async",{}]"#),
        HandlerFuture::Send(a(), Frame::new(opcode::CLOSE, from_hex("03e8"))),
        HandlerFuture::Receive(a(), Expected::Close(1000)),
        HandlerFuture::Receive(a(), Expected::Eof),
    ]);
    play("close", steps).await
}
