//! The bodies of clients: accepted and refused ones.

use std::{convert::Infallible, time::Duration};

use axum::body::{Body, Bytes};
use channel_runtime::{LongPollOptions, SocketOptions};
use futures_util::{StreamExt, poll, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{
    poll_client::{Client, NDJSON, reply, send},
    polled_room::{WINDOW, endpoint, endpoint_with},
};

async fn joined() -> Client {
    let client = Client::open(&endpoint()).await;
    client.join("room:1").await;
    client
}

fn ping(reference: usize) -> Value {
    json!(["1", reference.to_string(), "room:1", "ping", reference])
}

fn pong(reference: usize) -> Value {
    reply(&reference.to_string(), "room:1", "ok", json!(reference))
}

fn lines(count: usize) -> String {
    let lines: Vec<_> = (0..count).map(|n| ping(n).to_string()).collect();
    lines.join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_body_is_one_frame_whatever_its_type_and_many_if_it_says_so() {
    let client = joined().await;
    for content_type in [
        "application/json",
        "text/plain;charset=UTF-8",
        "application/x-ndjson2",
    ] {
        assert_eq!(
            client
                .post(content_type, ping(7).to_string())
                .await
                .status(),
            200
        );
        assert_eq!(client.messages().await, [pong(7)]);
    }
    let batch = format!("\n{}\r\n\n{}\n\n", ping(1), ping(2));
    assert_eq!(client.post(NDJSON, batch).await.status(), 200);
    assert_eq!(client.take(2).await, [pong(1), pong(2)]);
    assert_eq!(client.post(NDJSON, "").await.status(), 200);
    assert_eq!(client.post(NDJSON, "\n \r\n").await.status(), 200);
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_frames_are_taken_and_one_more_refuses_them_all() {
    let client = joined().await;
    assert_eq!(client.post(NDJSON, lines(100)).await.status(), 200);
    assert_eq!(
        client.take(100).await,
        (0..100).map(pong).collect::<Vec<_>>()
    );
    assert_eq!(client.post(NDJSON, lines(101)).await.status(), 413);
    assert_eq!(client.poll().await.status(), 204, "none of them was taken");
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_frame_at_all_is_refused_and_the_session_lives() {
    let client = joined().await;
    for body in [
        &b"!!!notb64"[..],
        b"[1]\n\"text\"",
        b"[\"\xff\"]",
        b"AAEC=====",
    ] {
        assert_eq!(client.post(NDJSON, body).await.status(), 400, "{body:?}");
    }
    assert_eq!(
        client.post("text/plain", &b"[\"\xff\"]"[..]).await.status(),
        400
    );
    assert_eq!(client.poll().await.status(), 204);
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_cannot_be_read_is_told_at_once_and_ends_its_session_alone() {
    let endpoint = endpoint();
    let other = Client::open(&endpoint).await;
    for body in ["[nope", "[1,2,3]", "{}", "", "BwcH"] {
        let client = Client::open(&endpoint).await;
        client.join("room:1").await;
        let started = Instant::now();
        let content_type = if body == "BwcH" { NDJSON } else { "text/plain" };
        assert_eq!(
            client.post(content_type, body).await.status(),
            400,
            "{body:?}"
        );
        assert!(started.elapsed() < WINDOW / 10);
        assert_eq!(client.heartbeat().await, 410);
        assert_eq!(client.poll().await.status(), 410);
    }
    other.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_hears_of_the_end() {
    let client = joined().await;
    let publish = async {
        sleep(Duration::from_millis(10)).await;
        assert_eq!(client.post("text/plain", "nonsense").await.status(), 400);
    };
    let started = Instant::now();
    let (answer, ()) = tokio::join!(client.poll(), publish);
    assert_eq!(answer.status(), 410);
    assert!(started.elapsed() < WINDOW);
}

fn small_bodies() -> SocketOptions {
    let options = LongPollOptions::default().max_body_bytes(1000);
    SocketOptions::default().long_poll(options.body_timeout(Duration::from_secs(5)))
}

/// Returns a body that sends chunks and counts them, without a length.
fn endless(count: std::sync::Arc<std::sync::atomic::AtomicUsize>) -> Body {
    let chunks = stream::repeat_with(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(vec![b'x'; 100]))
    });
    Body::from_stream(chunks)
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused_before_it_is_read_whole() {
    let client = Client::open(&endpoint_with(small_bodies())).await;
    let answer = client.post("text/plain", "x".repeat(1001)).await;
    assert_eq!((answer.http.as_u16(), answer.status()), (413, 413));
    let read = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let answer = client.post("text/plain", endless(read.clone())).await;
    assert_eq!((answer.http.as_u16(), answer.status()), (413, 413));
    assert_eq!(read.load(std::sync::atomic::Ordering::Relaxed), 11);
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_broken_off_or_never_ends_holds_up_nobody_for_long() {
    let client = Client::open(&endpoint_with(small_bodies())).await;
    let broken = stream::iter([Ok("[null"), Err(std::io::Error::other("broken off"))]);
    let answer = client.post("text/plain", Body::from_stream(broken)).await;
    assert_eq!(answer.status(), 400);

    // A byte a second.
    let slow = stream::repeat("x").then(|byte| async move {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, Infallible>(byte)
    });
    let started = Instant::now();
    let slow = client.request("text/plain", Body::from_stream(slow));
    let slow = tokio::spawn({
        let app = client.app.clone();
        async move { send(&app, slow).await }
    });
    sleep(Duration::from_secs(1)).await;
    // It waits for its turn, and gets it.
    client.lives().await;
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(5) && took < Duration::from_secs(6),
        "{took:?}"
    );
    assert_eq!(slow.await.unwrap().status(), 408);
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_when_its_session_ends_is_told_so() {
    let endpoint = endpoint_with(small_bodies());
    let app = endpoint.router();
    let client = Client::open_at(app, "/socket", "vsn=2.0.0&user=ada").await;
    let mut waits = Box::pin(client.post(
        "text/plain",
        Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
    ));
    assert!(poll!(&mut waits).is_pending());
    let started = Instant::now();
    endpoint.disconnect("users:ada").await.unwrap();
    assert_eq!(waits.await.status(), 410);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn requests_at_the_same_time_are_taken_one_after_the_other() {
    let client = joined().await;
    let pings: Vec<_> = (0..50).map(|n| [ping(n)]).collect();
    let posts = pings.iter().map(|ping| client.publish(ping));
    let statuses = futures_util::future::join_all(posts).await;
    assert_eq!(statuses, vec![200; 50]);
    assert_eq!(client.take(50).await, (0..50).map(pong).collect::<Vec<_>>());
}
