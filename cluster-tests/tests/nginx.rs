//! Nodes behind nginx, with the configuration that the example `cluster` shows.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command},
};

use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind, program},
    eventually,
    node::Node,
    room::Said,
};
use serde_json::json;

/// nginx; it ends when it is dropped.
struct Nginx {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Nginx {
    async fn start(ports: [u16; 2]) -> (Self, SocketAddr) {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = include_str!("../../examples/cluster/nginx.conf")
            .replace("127.0.0.1:4000", &format!("127.0.0.1:{}", ports[0]))
            .replace("127.0.0.1:4001", &format!("127.0.0.1:{}", ports[1]))
            .replace("127.0.0.1:8080", &address.to_string());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(directory.path()).arg("-c").arg(file);
        let child = command.spawn().unwrap();
        eventually("nginx listens", || TcpStream::connect(address).is_ok()).await;
        let nginx = Nginx {
            child,
            _directory: directory,
        };
        (nginx, address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It ends its workers when it is asked to, not when it is killed.
        cluster_tests::signal("TERM", self.child.id());
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn clients_behind_a_balancer_hear_each_other_and_come_back_when_a_node_ends() {
    let engine = Engine::start(Kind::Redis, "");
    let node = async |name: &str| {
        let options = ClusterOptions::new().node(name);
        Node::connect(&engine.url(), options).await.unwrap()
    };
    let (a, b) = (node("a").await, node("b").await);
    let (_nginx, address) = Nginx::start([a.address.port(), b.address.port()]).await;
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
    // Node A ends in order; its clients come back through nginx, to node B.
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
