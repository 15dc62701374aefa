//! Nodes behind nginx, with the configuration of the example `cluster`.

use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    nginx::Nginx,
    node::{Node, endpoint},
    port::Port,
    room::Said,
};
use serde_json::json;

#[tokio::test]
async fn clients_behind_a_balancer_hear_each_other_and_come_back_when_a_node_ends() {
    let engine = Engine::start(Kind::Redis, "");
    // Once A has ended, no other process may take its port.
    let ports = [Port::hold(), Port::hold()];
    let node = async |name: &str, port: &Port| {
        let options = ClusterOptions::new().node(name);
        let endpoint = endpoint(&engine.url(), options).await.unwrap();
        Node::serve_at(endpoint, port.address()).await
    };
    let (a, b) = (node("a", &ports[0]).await, node("b", &ports[1]).await);
    let nginx = Nginx::start([a.address, b.address]).await;
    let address = nginx.address;
    let mut clients = Vec::new();
    for n in 0..10 {
        clients.push(Client::joined(address, &format!("client-{n}"), "room:1").await);
    }
    let counts = [&a, &b].map(|node| node.endpoint.connection_count());
    assert_eq!(counts, [5, 5], "each node has half of them");
    clients[0].ask("room:1", "all", json!({"n": 1})).await;
    for client in &clients {
        client.saw(1).await;
    }
    // Node A shuts down gracefully; its clients come back through nginx, to node B.
    let mut drained = a.endpoint.clone();
    let drain = async { drained.drain().await };
    drain.await;
    drained = b.endpoint.clone();
    drop(a);
    let again = Client::joined(address, "again", "room:1").await;
    drained.broadcast("room:1", &Said::new(2)).await.unwrap();
    again.saw(2).await;
    for client in &clients {
        assert_eq!(client.numbers().iter().filter(|n| **n == 1).count(), 1);
    }
}
