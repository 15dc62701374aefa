use channel_runtime::{Payload, pubsub::ClusterOptions};
use cluster_tests::{
    client::Client,
    room::{Blob, Said},
    table::{is_whole, row},
    within,
};
use serde_json::json;

use super::Cluster;

pub(crate) async fn a_broadcast_reaches_all_of_its_topic_on_every_node_and_no_other(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let one = Client::joined(a.address, "one", "room:1").await;
    let two = Client::joined(b.address, "two", "room:1").await;
    let other = Client::joined(b.address, "other", "room:2").await;
    let reply = one.ask("room:1", "all", json!({"n": 1})).await;
    assert_eq!(reply["status"], "ok");
    one.saw(1).await;
    two.saw(1).await;
    // A later message on another topic arrives last.
    a.endpoint.broadcast("room:2", &Said::new(2)).await.unwrap();
    other.saw(2).await;
    assert_eq!(other.numbers(), [2]);
    assert_eq!(one.numbers(), [1]);
    assert_eq!(two.numbers(), [1]);
}

pub(crate) async fn broadcast_from_leaves_out_the_sending_channel_only(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let one = Client::joined(a.address, "one", "room:1").await;
    let beside = Client::joined(a.address, "beside", "room:1").await;
    let two = Client::joined(b.address, "two", "room:1").await;
    one.ask("room:1", "others", json!({"n": 1})).await;
    beside.saw(1).await;
    two.saw(1).await;
    two.ask("room:1", "others", json!({"n": 2})).await;
    one.saw(2).await;
    beside.saw(2).await;
    one.ask("room:1", "all", json!({"n": 3})).await;
    two.saw(3).await;
    assert_eq!(one.numbers(), [2, 3]);
    assert_eq!(two.numbers(), [1, 3]);
}

pub(crate) async fn a_local_broadcast_stays_on_its_node(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let one = Client::joined(a.address, "one", "room:1").await;
    let two = Client::joined(b.address, "two", "room:1").await;
    one.ask("room:1", "local", json!({"n": 1})).await;
    one.ask("room:1", "all", json!({"n": 2})).await;
    two.saw(2).await;
    let expected: &[u64] = if c.is_one() { &[1, 2] } else { &[2] };
    assert_eq!(two.numbers(), expected);
    assert_eq!(one.numbers(), [1, 2]);
}

pub(crate) async fn a_direct_broadcast_reaches_one_node(c: Cluster) {
    let (a, b, third) = (c.node().await, c.node().await, c.node().await);
    let one = Client::joined(a.address, "one", "room:1").await;
    let two = Client::joined(b.address, "two", "room:1").await;
    let three = Client::joined(third.address, "three", "room:1").await;
    let direct = async |node: &str, n| {
        let event = Said::new(n);
        let sent = a.endpoint.direct_broadcast(node, "room:1", &event);
        sent.await.unwrap();
    };
    direct(b.endpoint.node(), 1).await;
    two.saw(1).await;
    direct(a.endpoint.node(), 2).await;
    one.saw(2).await;
    direct("no such node", 3).await;
    a.endpoint.broadcast("room:1", &Said::new(4)).await.unwrap();
    for client in [&one, &two, &three] {
        client.saw(4).await;
    }
    if !c.is_one() {
        assert_eq!(one.numbers(), [2, 4]);
        assert_eq!(two.numbers(), [1, 4]);
        assert_eq!(three.numbers(), [4]);
    }
}

pub(crate) async fn intercepts_run_on_each_node(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let one = Client::joined(a.address, "one", "room:1").await;
    let two = Client::joined(b.address, "two", "room:1").await;
    let spy = Client::joined(b.address, "spy", "room:1").await;
    one.ask("room:1", "whisper", json!({"n": 1})).await;
    let seen = one.first("secret").await;
    assert_eq!(seen.payload, json!({"n": 1, "seen_by": "one"}));
    let seen = two.first("secret").await;
    assert_eq!(seen.payload, json!({"n": 1, "seen_by": "two"}));
    one.ask("room:1", "all", json!({"n": 2})).await;
    spy.saw(2).await;
    assert!(spy.events("secret").is_empty());
}

pub(crate) async fn a_further_topic_is_heard_across_nodes(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let one = Client::joined(a.address, "one", "room:1").await;
    one.ask("room:1", "watch", json!("prices")).await;
    b.endpoint.broadcast("prices", &Said::new(7)).await.unwrap();
    let seen = one.first("said").await;
    assert_eq!((&*seen.topic, &seen.payload["n"]), ("room:1", &json!(7)));
}

pub(crate) async fn an_endpoint_without_sockets_is_heard(c: Cluster) {
    let node = c.node().await;
    let emitter = c.endpoint_with(ClusterOptions::new()).await;
    let one = Client::joined(node.address, "one", "room:1").await;
    emitter.broadcast("room:1", &Said::new(1)).await.unwrap();
    one.saw(1).await;
    emitter.disconnect("users:one").await.unwrap();
    assert_eq!(one.closed().await, 1001);
}

pub(crate) async fn an_id_is_disconnected_wherever_it_is(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let here = Client::joined(a.address, "ada", "room:1").await;
    let there = Client::joined(b.address, "ada", "room:1").await;
    let bob = Client::joined(b.address, "bob", "room:1").await;
    a.endpoint.disconnect("users:ada").await.unwrap();
    assert_eq!(here.closed().await, 1001);
    assert_eq!(there.closed().await, 1001);
    a.endpoint.broadcast("room:1", &Said::new(1)).await.unwrap();
    bob.saw(1).await;
}

pub(crate) async fn binary_payloads_arrive_as_they_are(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let two = Client::joined(b.address, "two", "room:1").await;
    let bytes: Vec<u8> = (0..=255).collect();
    let payload = Payload::binary(bytes.clone());
    let sent = a.endpoint.broadcast_raw("room:1", "blob", payload);
    sent.await.unwrap();
    assert_eq!(two.first("blob").await.payload, json!(bytes));
    a.endpoint.broadcast("room:1", &Blob).await.unwrap();
}

pub(crate) async fn numbers_keep_their_digits(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let mut heard = b.endpoint.subscribe("room:1");
    heard.confirmed().await;
    let text = r#"{"n":  10000000000000000000000000001.10}"#;
    let payload = Payload::from_json_text(text).unwrap();
    let sent = a.endpoint.broadcast_raw("room:1", "raw", payload);
    sent.await.unwrap();
    let broadcast = within("raw", heard.recv()).await;
    assert_eq!(broadcast.payload().as_json(), Some(text));
}

pub(crate) async fn the_messages_of_one_publisher_arrive_in_order_and_once(c: Cluster) {
    const MESSAGES: u64 = 2000;
    let (a, b) = (c.node().await, c.node().await);
    let one = Client::joined(a.address, "one", "room:1").await;
    let two = Client::joined(b.address, "two", "room:1").await;
    for n in 1..=MESSAGES {
        let event = Said::new(n);
        if n % 2 == 0 {
            a.endpoint.broadcast("room:1", &event).await.unwrap();
        } else {
            // Sent although its future is never awaited.
            let sent = a.endpoint.broadcast("room:1", &event);
            let _dropped = futures_util::FutureExt::now_or_never(sent);
        }
    }
    for client in [&one, &two] {
        client.saw(MESSAGES).await;
        let row = row(&client.name, 1..=MESSAGES, &client.numbers());
        assert!(is_whole(&row), "{row:?}");
    }
}
