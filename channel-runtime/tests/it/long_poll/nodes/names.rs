//! Nodes that share a name, at one time or one after the other.

use std::time::Duration;

use serde_json::json;

use super::Roamer;
use crate::support::{
    hub::Hub,
    poll_client::reply,
    polled_room::{heard, said},
};

#[tokio::test(start_paused = true)]
async fn a_session_is_reached_through_a_node_that_has_its_nodes_name() {
    let hub = Hub::default();
    let nodes = hub.nodes(["app-1", "app-1", "app-1"]);
    for home in 0..3 {
        let (home, away) = (&nodes[home], &nodes[(home + 1) % 3]);
        let mut client = Roamer::joined(home, away).await;
        for (n, node) in nodes.iter().enumerate() {
            let ping = json!(["1", n.to_string(), "room:1", "ping", {}]);
            assert_eq!(client.publish(node, &[ping]).await, 200);
            let pong = reply(&n.to_string(), "room:1", "ok", json!({}));
            assert_eq!(client.messages(node).await, [pong]);
        }
        home.endpoint
            .local_broadcast("room:1", &said("hi"))
            .unwrap();
        assert_eq!(client.messages(away).await, [heard("room:1", "hi")]);
    }
}

#[tokio::test(start_paused = true)]
async fn two_nodes_of_one_name_see_that_in_their_health() {
    let hub = Hub::default();
    let [a, b, c] = hub.nodes(["app-1", "app-1", "app-2"]);
    let mut client = Roamer::joined(&a, &c).await;
    let namesake = |node: &crate::support::hub::Node| node.endpoint.health().namesake;
    assert_eq!([&a, &b, &c].map(namesake), [None; 3]);
    assert_eq!(client.poll(&b).await.status(), 204);
    assert!([&a, &b].map(namesake).iter().all(Option::is_some));
    assert_eq!(namesake(&c), None);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!([&a, &b, &c].map(namesake), [None; 3]);
}
