use std::time::Duration;

use channel_runtime::{
    Error, Payload,
    pubsub::{ClusterOptions, Overflow, PublishError},
};
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    eventually,
    node::Node,
    room::Said,
    table::{is_whole, print, row},
    within,
};

use super::publish;

pub(crate) async fn a_payload_at_the_limit_and_one_past_it(kind: Kind) {
    const MIB: usize = 1 << 20;
    let engine = Engine::start(kind, "");
    // NATS has a limit of its own, which is 1 MiB; for Redis it is this option.
    let options = |name: &str| match kind {
        Kind::Redis => ClusterOptions::new().node(name).max_message(MIB),
        Kind::Nats => ClusterOptions::new().node(name),
    };
    let a = Node::connect(&engine.url(), options("a")).await.unwrap();
    let b = Node::connect(&engine.url(), options("b")).await.unwrap();
    let mut here = a.endpoint.subscribe("room:1");
    let mut there = b.endpoint.subscribe("room:1");
    there.confirmed().await;
    let send = async |bytes: usize| {
        let payload = Payload::binary(vec![7; bytes]);
        a.endpoint.broadcast_raw("room:1", "large", payload).await
    };
    let Err(Error::Publish(PublishError::TooLarge { len, limit })) = send(MIB).await else {
        panic!("a message past the limit is refused");
    };
    assert_eq!(limit, MIB);
    let overhead = len - MIB;
    assert_eq!(within("here", here.recv()).await.payload().len(), MIB);

    let most = limit - overhead;
    send(most).await.unwrap();
    assert_eq!(within("here", here.recv()).await.payload().len(), most);
    let arrived = within("there", there.recv()).await;
    assert_eq!(arrived.payload(), &Payload::binary(vec![7; most]));

    assert!(send(most + 1).await.is_err());
    send(1).await.unwrap();
    let arrived = within("there", there.recv()).await;
    assert_eq!(arrived.payload().len(), 1, "the connection has lived on");

    // The same, as clients see it.
    let clients = [
        Client::joined(a.address, "client of a", "room:1").await,
        Client::joined(b.address, "client of b", "room:1").await,
    ];
    let said = async |n: u64, bytes: usize| {
        let body = "x".repeat(bytes);
        a.endpoint.broadcast("room:1", &Said { n, body }).await
    };
    let Err(Error::Publish(PublishError::TooLarge { len, .. })) = said(1, MIB).await else {
        panic!("a message past the limit is refused");
    };
    let most = MIB - (len - MIB);
    said(2, most).await.unwrap();
    assert!(said(3, most + 1).await.is_err());
    said(4, 1).await.unwrap();
    let mut rows = Vec::new();
    for client in &clients {
        client.saw(4).await;
        rows.push(row(&client.name, 1..=4, &client.numbers()));
    }
    print(&format!("{kind:?}, one at the limit, two past it"), &rows);
    assert!(is_whole(&rows[0]), "{rows:?}");
    assert_eq!(rows[1].lost, [1, 3].into());
    assert_eq!(b.endpoint.health().disconnects, 0);
    assert_eq!(a.endpoint.health().lost, 4);
}

pub(crate) async fn somebody_else_publishes_garbage(kind: Kind) {
    let engine = Engine::start(kind, "");
    let options = |name: &str| ClusterOptions::new().node(name);
    let a = Node::connect(&engine.url(), options("a")).await.unwrap();
    let b = Node::connect(&engine.url(), options("b")).await.unwrap();
    let client = Client::joined(b.address, "client of b", "room:1").await;
    let (topic, node) = match kind {
        Kind::Redis => ("channel:topic:room:1", "channel:node:b"),
        Kind::Nats => ("channel.topic.room:1", "channel.node.b"),
    };
    let message = |header: &[u8], rest: &[u8]| [&b"ch"[..], header, &[9; 16], rest].concat();
    let garbage: &[Vec<u8>] = &[
        vec![],
        b"hello".to_vec(),
        b"ch".to_vec(),
        vec![0; 1000],
        message(&[2, 0], &[0; 8]),
        message(&[1, 7], &[0; 8]),
        message(&[1, 0], &[0xff; 8]),
        message(&[1, 0], b"\0\0\0\x06\0\0\0\x04room:1said{\"n\":"),
        message(&[1, 0], b"\0\0\0\x06\0\0\0\x04room:1said\xff"),
    ];
    publish(&a.endpoint, 1..=10).await;
    for bytes in garbage {
        engine.publish(topic, bytes);
        engine.publish(node, bytes);
    }
    let count = 2 * garbage.len() as u64;
    eventually("counted", || b.endpoint.health().garbage == count).await;
    publish(&a.endpoint, 11..=20).await;
    client.saw(20).await;
    let rows = [row(&client.name, 1..=20, &client.numbers())];
    print(
        &format!("{kind:?}, {count} messages of somebody else"),
        &rows,
    );
    assert!(is_whole(&rows[0]));
    assert_eq!(b.endpoint.health().received, 20);
    assert_eq!(a.endpoint.health().garbage, 0, "nobody here has that topic");
    // Other emitters that use the right format are accepted.
    let right = message(&[1, 0], b"\0\0\0\x06\0\0\0\x04room:1said{\"n\":21}");
    engine.publish(topic, &right);
    client.saw(21).await;
}

pub(crate) async fn more_is_published_than_the_queue_holds(kind: Kind) {
    let engine = Engine::start(kind, "");
    let options = ClusterOptions::new().node("a").queue_messages(10);
    let refusing = Node::connect(&engine.url(), options.clone()).await.unwrap();
    let options = options.overflow(Overflow::Wait(Duration::from_secs(30)));
    let waiting = Node::connect(&engine.url(), options.node("b"))
        .await
        .unwrap();
    let url = engine.url();
    let reader = Node::connect(&url, ClusterOptions::new().node("c"));
    let reader = reader.await.unwrap();
    let client = Client::joined(reader.address, "client of c", "room:1").await;
    refusing.up().await;
    waiting.up().await;

    // All at once, on a thread that does nothing else meanwhile.
    let flood = async |node: &Node, from: u64| {
        let endpoint = node.endpoint.clone();
        let sends = (from..from + 1000).map(|n| {
            let endpoint = endpoint.clone();
            async move {
                match endpoint.broadcast("room:1", &Said::new(n)).await {
                    Ok(()) => true,
                    Err(Error::Publish(PublishError::QueueFull)) => false,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let outcomes: Vec<bool> = futures_util::future::join_all(sends).await;
        (from..)
            .zip(outcomes)
            .filter(|(_, ok)| *ok)
            .map(|(n, _)| n)
            .collect::<Vec<u64>>()
    };
    engine.pause();
    let (taken, all, ()) = tokio::join!(flood(&refusing, 1), flood(&waiting, 10_001), async {
        eventually("the queue is full", || refusing.endpoint.health().lost > 0).await;
        engine.resume();
    });
    assert!(taken.len() < 1000, "some are refused");
    assert_eq!(all.len(), 1000, "none is refused, they wait");
    client.saw(*taken.last().unwrap()).await;
    // Tasks that wait together are not served in order, so the last number proves nothing of the
    // others.
    for n in &all {
        client.saw(*n).await;
    }
    let rows = [
        row("taken, refuse", taken, &client.numbers()),
        row("taken, wait", all, &client.numbers()),
    ];
    print(&format!("{kind:?}, 1000 at once into a queue of 10"), &rows);
    assert!(is_whole(&rows[0]), "{rows:?}");
    assert_eq!((rows[1].delivered, rows[1].duplicated), (1000, 0));
}
