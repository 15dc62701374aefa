//! Requests that work through any node.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, http::StatusCode};
use channel_runtime::{LongPollOptions, Payload};
use data_encoding::BASE64;
use futures_util::stream;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::Roamer;
use crate::support::{
    hub::Hub,
    poll_client::{NDJSON, reply},
    polled_room::{WINDOW, heard, said},
};

#[tokio::test(start_paused = true)]
async fn a_session_is_reached_through_any_node() {
    let nodes = Hub::default().nodes(["a", "b", "c"]);
    let mut client = Roamer::joined(&nodes[0], &nodes[1]).await;
    for (n, node) in nodes.iter().cycle().take(9).enumerate() {
        let ping = json!(["1", n.to_string(), "room:1", "ping", {"n": n}]);
        assert_eq!(client.publish(node, &[ping]).await, 200);
        let next = &nodes[(n + 1) % 3];
        let pong = reply(&n.to_string(), "room:1", "ok", json!({"n": n}));
        assert_eq!(client.messages(next).await, [pong]);
    }
    let sessions = nodes.map(|node| node.endpoint.long_poll_session_count());
    assert_eq!(sessions, [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_for_what_comes() {
    let [a, b] = Hub::default().nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    let send = async {
        sleep(WINDOW / 2).await;
        b.endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    };
    let (messages, ()) = tokio::join!(client.messages(&b), send);
    assert_eq!(messages, [heard("room:1", "hi")]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_in_vain_takes_the_window_and_keeps_the_session() {
    let [a, b] = Hub::default().nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    for _ in 0..5 {
        let began = tokio::time::Instant::now();
        assert_eq!(client.poll(&b).await.status(), 204);
        assert_eq!(began.elapsed(), WINDOW);
    }
    a.endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    assert_eq!(client.messages(&b).await, [heard("room:1", "hi")]);
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways() {
    let [a, b] = Hub::default().nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    // The lengths of join_ref, ref, topic and event, these texts, and then the payload.
    let mut frame = vec![0, 1, 1, 6, 4];
    frame.extend(b"12room:1echo");
    frame.extend([0, 10, 13, 255]);
    let line = BASE64.encode(&frame);
    let answer = client.at(&b.app).post(NDJSON, line).await;
    assert_eq!(answer.status(), 200);
    let bytes = json!({"base64": BASE64.encode(&[0, 10, 13, 255])});
    assert_eq!(
        client.messages(&b).await,
        [reply("2", "room:1", "ok", bytes.clone())]
    );
    let payload = Payload::binary(vec![0, 10, 13, 255]);
    let sent = a.endpoint.broadcast_raw("room:1", "raw", payload);
    sent.await.unwrap();
    assert_eq!(
        client.messages(&b).await,
        [json!([null, null, "room:1", "raw", bytes])]
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_goes_in_pieces_up_to_its_limit() {
    let hub = Hub::default();
    // The smallest limit of an engine.
    hub.limit(64 << 10);
    let options = LongPollOptions::default().max_body_bytes(1_000_000);
    let [a, b] = ["a", "b"].map(|name| hub.node_with(name, options.clone()));
    let mut client = Roamer::joined(&a, &b).await;
    let frame = |len: usize| json!(["1", "2", "room:1", "ping", "x".repeat(len)]).to_string();
    let most = 1_000_000 - frame(0).len();
    let answer = client.at(&b.app).post("text/plain", frame(most)).await;
    assert_eq!(answer.status(), 200);
    let pong = client.messages(&b).await;
    assert_eq!(pong, [reply("2", "room:1", "ok", json!("x".repeat(most)))]);

    let sent = hub.sent_to("a");
    let answer = client.at(&b.app).post("text/plain", frame(most + 1)).await;
    assert_eq!(
        (answer.http, answer.status()),
        (StatusCode::PAYLOAD_TOO_LARGE, 413)
    );
    assert_eq!(hub.sent_to("a"), sent, "its length says enough");
}

#[tokio::test(start_paused = true)]
async fn one_request_of_a_client_publishes_at_a_time_whatever_the_nodes() {
    let [a, b, c] = Hub::default().nodes(["a", "b", "c"]);
    let mut client = Roamer::joined(&a, &b).await;
    let ping = |n: u64| json!(["1", n.to_string(), "room:1", "ping", n]);
    // A slow body: the other request is not read before it is complete.
    let text = ping(2).to_string();
    let body = Body::from_stream(stream::once(async {
        sleep(Duration::from_secs(5)).await;
        Ok::<_, Infallible>(text)
    }));
    let (slow, quick) = (client.at(&b.app), client.at(&c.app));
    let slow = slow.post("text/plain", body);
    let quick = async {
        sleep(Duration::from_secs(1)).await;
        quick.publish(&[ping(3)]).await
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!((slow.status(), quick), (200, 200));
    let pongs = [2, 3].map(|n| reply(&n.to_string(), "room:1", "ok", json!(n)));
    assert_eq!(client.messages(&b).await, pongs);
}

#[tokio::test(start_paused = true)]
async fn of_two_polls_at_once_the_later_one_gets_the_messages() {
    let [a, b, c] = Hub::default().nodes(["a", "b", "c"]);
    let mut client = Roamer::joined(&a, &b).await;
    let earlier = client.at(&b.app);
    let later = async {
        sleep(Duration::from_secs(1)).await;
        let answer = client.messages(&c);
        let send = async {
            sleep(Duration::from_secs(1)).await;
            a.endpoint.broadcast("room:1", &said("hi")).await.unwrap();
        };
        tokio::join!(answer, send).0
    };
    let (earlier, later) = tokio::join!(earlier.poll(), later);
    assert_eq!(
        (earlier.status(), later),
        (204, vec![heard("room:1", "hi")])
    );
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_gave_up_loses_nothing() {
    let [a, b, c] = Hub::default().nodes(["a", "b", "c"]);
    let mut client = Roamer::joined(&a, &b).await;
    let given_up = client.at(&b.app);
    let given_up = timeout(WINDOW / 2, given_up.poll()).await;
    assert!(given_up.is_err());
    for text in ["1", "2"] {
        a.endpoint.broadcast("room:1", &said(text)).await.unwrap();
    }
    // It does not hold the session open, either.
    assert_eq!(
        client.messages(&c).await,
        ["1", "2"].map(|text| heard("room:1", text))
    );
    let given_up = client.at(&b.app);
    assert!(timeout(WINDOW / 2, given_up.poll()).await.is_err());
    sleep(WINDOW * 2).await;
    assert_eq!(a.endpoint.long_poll_session_count(), 0);
}
