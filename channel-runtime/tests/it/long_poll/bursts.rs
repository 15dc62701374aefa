//! Clients that send ahead of their channels: a POST is held before anything is refused.

use std::time::Duration;

use channel_runtime::{LongPollOptions, SocketOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::nodes::Roamer;
use crate::support::{
    hub::Hub,
    poll_client::{Client, reply},
};

/// Returns options with room for one message, and for any that is no longer.
fn options() -> SocketOptions {
    let options = SocketOptions::default().long_poll(LongPollOptions::default());
    options
        .mailbox_bytes(1)
        .mailbox_wait(Duration::from_secs(4))
}

/// Returns a message whose handler takes this long, and three messages behind it.
fn burst(seconds: u64) -> Vec<Value> {
    let mut frames = vec![json!(["1", "s", "room:1", "sleep", seconds])];
    frames.extend((0..3).map(|n| json!(["1", n.to_string(), "room:1", "ping", {"n": n}])));
    frames
}

/// Checks that a POST takes this many seconds, and the answers to its messages.
async fn check(
    publish: impl AsyncFn(&[Value]) -> u64,
    messages: impl AsyncFn(usize) -> Vec<Value>,
) {
    let slept = || reply("s", "room:1", "ok", json!({}));
    let pong = |n: u64| reply(&n.to_string(), "room:1", "ok", json!({"n": n}));
    let began = Instant::now();
    assert_eq!(publish(&burst(3)).await, 200);
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(messages(4).await, [slept(), pong(0), pong(1), pong(2)]);

    let began = Instant::now();
    assert_eq!(publish(&burst(6)).await, 200);
    assert_eq!(
        began.elapsed().as_secs(),
        4,
        "those of one POST wait all together"
    );
    let refused = |n: u64| {
        let reason = json!({"reason": "channel overloaded"});
        reply(&n.to_string(), "room:1", "error", reason)
    };
    assert_eq!(
        messages(4).await,
        [refused(0), refused(1), refused(2), slept()]
    );
}

#[tokio::test(start_paused = true)]
async fn a_post_is_held_until_there_is_room_and_then_its_messages_are_refused() {
    let client = Client::open(&crate::support::polled_room::endpoint_with(options())).await;
    client.join("room:1").await;
    check(
        async |frames| client.publish(frames).await,
        async |count| client.take(count).await,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_post_through_another_node_is_held_too() {
    let hub = Hub::default();
    let (home, away) = (hub.node_of("a", options()), hub.node_of("b", options()));
    let client = tokio::sync::Mutex::new(Roamer::joined(&home, &away).await);
    check(
        async |frames| client.lock().await.publish(&away, frames).await,
        async |count| {
            let mut messages = Vec::new();
            while messages.len() < count {
                messages.extend(client.lock().await.messages(&away).await);
            }
            messages
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_answered_while_a_post_is_held() {
    let endpoint = crate::support::polled_room::endpoint_with(options());
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    let frames = burst(3);
    let (status, heard) = tokio::join!(client.publish(&frames), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let said = crate::support::polled_room::said("meanwhile");
        endpoint.local_broadcast("room:1", &said).unwrap();
        client.messages().await
    });
    assert_eq!(
        (status, heard),
        (
            200,
            vec![crate::support::polled_room::heard("room:1", "meanwhile")]
        )
    );
    client.take(4).await;
}
