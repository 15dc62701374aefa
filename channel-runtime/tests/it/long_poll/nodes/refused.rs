//! Requests of clients and strangers that another node refuses.

use axum::http::StatusCode;
use channel_runtime::{Bytes, Endpoint, LongPollOptions, SocketOptions};
use serde_json::{Value, json};

use super::Roamer;
use crate::support::{
    hub::Hub,
    poll_client::{Client, NDJSON, get},
    polled_room::{User, heard, said},
};

/// Returns a node's frame without its seal; the call is 7. Nodes sent kind 2 before node messages had
/// seals.
fn frame(kind: u8, from: &str, mailbox: &str, head: &Value, body: &[u8]) -> Bytes {
    let head = head.to_string();
    let mut frame = 7_u64.to_be_bytes().to_vec();
    frame.extend((head.len() as u32).to_be_bytes());
    frame.extend(head.as_bytes());
    frame.extend(body);
    let mut message = vec![b'c', b'h', 1, kind];
    message.extend([9; 16]);
    message.extend((from.len() as u32).to_be_bytes());
    message.extend((mailbox.len() as u32).to_be_bytes());
    message.extend([from.as_bytes(), mailbox.as_bytes(), &frame].concat());
    message.into()
}

const MAILBOX: &str = "channel long-poll /socket";

#[tokio::test(start_paused = true)]
async fn without_a_shared_secret_a_session_is_of_its_node_alone() {
    let a = Hub::default().node("a");
    let client = Roamer::open(&a).await;
    let options = SocketOptions::default().long_poll(LongPollOptions::default());
    let stranger = Endpoint::builder().socket::<User>(options.path("/socket"));
    let stranger = stranger.build().unwrap();
    let there = client.at(&stranger.router());
    assert_eq!(there.poll().await.status(), 410);
    assert_eq!(there.heartbeat().await, 410);
}

#[tokio::test(start_paused = true)]
async fn what_a_body_may_not_be_it_may_not_be_through_another_node() {
    let options = LongPollOptions::default().max_batch_frames(2);
    let hub = Hub::default();
    let [a, b] = ["a", "b"].map(|name| hub.node_with(name, options.clone()));
    let cases = [
        (NDJSON, &b"[1]\n!!!notb64"[..], 400),
        (NDJSON, b"[]\n[]\n[]", 413),
        ("text/plain", b"\xff", 400),
    ];
    for (content_type, body, status) in cases {
        let client = Roamer::joined(&a, &b).await;
        let answer = client.at(&b.app).post(content_type, body).await;
        assert_eq!(answer.status(), status, "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_ends_a_session_ends_it_from_afar() {
    let [a, b] = Hub::default().nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    let answer = client.at(&b.app).post("text/plain", "no JSON").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(client.poll(&b).await.status(), 410);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_less_than_a_piece_is_a_clear_refusal() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    hub.limit(10_000);
    let long = json!(["1", "2", "room:1", "ping", "x".repeat(10_000)]);
    let answer = client.at(&b.app).post("text/plain", long.to_string()).await;
    assert_eq!(
        (answer.http, answer.status()),
        (StatusCode::PAYLOAD_TOO_LARGE, 413)
    );
    let text = "x".repeat(10_000);
    a.endpoint.local_broadcast("room:1", &said(&text)).unwrap();
    let answer = client.poll(&b).await;
    assert_eq!(
        (answer.http, answer.status()),
        (StatusCode::SERVICE_UNAVAILABLE, 500)
    );
    assert_eq!(client.messages(&a).await, [heard("room:1", &text)]);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_at_the_engine_opens_no_session_without_its_token() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    let piece = json!({"at": 0, "is_last": true});
    let heads = [
        json!({"Request": {"Poll": {"token": "guessed", "window_ms": 1}}}),
        json!({"Request": {"Publish": {"token": "", "is_batch": true}}}),
        json!({"Request": {"Body": piece}}),
        json!({"Request": "Cancel"}),
        json!({"Answer": {"Messages": {"number": 1, "piece": piece}}}),
        json!({"Answer": {"Done": 410}}),
        json!({"Answer": "Ready"}),
        json!({"Answer": "Nonsense"}),
        json!([]),
    ];
    for mailbox in [MAILBOX, "another", ""] {
        for (kind, head) in heads.iter().flat_map(|head| [(2, head), (3, head)]) {
            hub.inject("a", frame(kind, "b", mailbox, head, b"[]"));
            hub.inject("b", frame(kind, "nobody", mailbox, head, b"[]"));
        }
    }
    hub.inject("a", frame(3, "b", MAILBOX, &json!({}), b"").slice(..45));
    // All unsealed ones, those to an existing mailbox, and those cut off.
    let refused = heads.len() as u64 * 4;
    assert_eq!(a.endpoint.health().garbage, refused + 1);
    assert_eq!(b.endpoint.health().garbage, refused);
    a.endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    assert_eq!(client.messages(&b).await, [heard("room:1", "hi")]);
}

#[tokio::test(start_paused = true)]
async fn a_token_says_no_node_to_its_holder() {
    let a = Hub::default().node("secret-host-7");
    let token = Roamer::open(&a).await.0.token;
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(token.as_bytes())
        .unwrap();
    let readable = String::from_utf8_lossy(&bytes).into_owned();
    assert!(!readable.contains("secret-host"), "{readable}");
}

#[tokio::test(start_paused = true)]
async fn a_token_made_up_reaches_no_node() {
    let hub = Hub::default();
    let [_a, b] = hub.nodes(["a", "b"]);
    let uri = "/socket/longpoll?vsn=2.0.0";
    for token in ["a", "null", "channel long-poll /socket"] {
        let answer = get(&b.app, uri, Some(token)).await;
        assert_eq!(answer.status(), 410);
        let client = Client {
            app: b.app.clone(),
            path: "/socket",
            token: token.replace(' ', "+"),
        };
        assert_eq!(client.heartbeat().await, 410);
    }
    assert_eq!(hub.sent_to("a"), 0);
}
