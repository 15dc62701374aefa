//! The limits of an attacker who reads and writes between the nodes.

use channel_runtime::Bytes;
use serde_json::json;

use super::Roamer;
use crate::support::{
    hub::{Hub, Node},
    poll_client::reply,
    polled_room::{heard, said},
};

fn contains(message: &Bytes, text: &str) -> bool {
    let text = text.as_bytes();
    message.windows(text.len()).any(|part| part == text)
}

/// Runs a conversation through another node, and returns its tokens.
async fn conversation(a: &Node, b: &Node) -> (Roamer, Vec<String>) {
    let mut client = Roamer::joined(a, b).await;
    let mut tokens = vec![client.0.token.clone()];
    let ping = json!(["1", "2", "room:1", "ping", "from the client"]);
    assert_eq!(client.publish(b, &[ping]).await, 200);
    let pong = reply("2", "room:1", "ok", json!("from the client"));
    assert_eq!(client.messages(b).await, [pong]);
    tokens.push(client.0.token.clone());
    let text = "from the server";
    a.endpoint.local_broadcast("room:1", &said(text)).unwrap();
    assert_eq!(client.messages(b).await, [heard("room:1", text)]);
    (client, tokens)
}

#[tokio::test(start_paused = true)]
async fn who_reads_between_the_nodes_sees_no_token_and_no_message() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let (_, tokens) = conversation(&a, &b).await;
    let read = hub.read();
    assert!(read.len() > 6, "{}", read.len());
    for (_, message) in read {
        let texts = ["from the", "token", "Poll", "Messages", "room:1"];
        assert!(texts.iter().all(|text| !contains(&message, text)));
        assert!(tokens.iter().all(|token| !contains(&message, token)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_between_the_nodes_and_is_sent_again_has_no_effect() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let (mut client, _) = conversation(&a, &b).await;
    a.endpoint.local_broadcast("room:1", &said("kept")).unwrap();
    let (read, before) = (hub.read(), hub.read().len());
    for to in ["a", "b"] {
        for (_, message) in &read {
            hub.inject(to, message.clone());
        }
    }
    // A request that was served a second time would have an answer.
    tokio::time::sleep(crate::support::polled_room::WINDOW).await;
    assert_eq!(hub.read().len(), before);
    // A node drops its own messages, and refuses those of the other one.
    let garbage = [&a, &b].map(|node| node.endpoint.health().garbage);
    assert_eq!(garbage.iter().sum::<u64>(), before as u64);
    assert_eq!(client.messages(&b).await, [heard("room:1", "kept")]);
    assert_eq!(client.poll(&b).await.status(), 204);
}

#[tokio::test(start_paused = true)]
async fn nodes_whose_keys_overlap_serve_each_others_sessions() {
    let hub = Hub::default();
    let a = hub.node_with_secrets("a", &[[1; 32], [2; 32]]);
    let b = hub.node_with_secrets("b", &[[2; 32], [1; 32]]);
    conversation(&a, &b).await;
    conversation(&b, &a).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_without_the_new_key_refuses_its_messages_and_counts_them() {
    let hub = Hub::default();
    let a = hub.node_with_secrets("a", &[[1; 32]]);
    let b = hub.node_with_secrets("b", &[[2; 32], [1; 32]]);
    let mut client = Roamer::open(&a).await;
    // It opens the token with the old key, and asks with the new one.
    assert_eq!(client.poll(&b).await.status(), 410);
    // As many times as it asks a node that is dead, and once to say that it asks no more.
    assert_eq!(a.endpoint.health().garbage, 11);
    assert_eq!(client.poll(&b).await.status(), 204, "a session of b");
}
