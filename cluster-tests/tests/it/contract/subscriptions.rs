use std::time::Duration;

use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::{client::Client, engine::Kind, eventually, room::Said, within};

use super::Cluster;

pub(crate) async fn nothing_sent_after_the_answer_to_a_join_is_missed(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let client = Client::connect(b.address, "one").await;
    for n in 1..=100 {
        let topic = format!("room:{n}");
        client.join(&topic).await;
        // At once, from another node: the first subscriber of this topic anywhere must get it.
        a.endpoint.broadcast(&*topic, &Said::new(n)).await.unwrap();
        client.saw(n).await;
        client.leave(&topic).await;
    }
}

pub(crate) async fn leaving_and_joining_again_misses_nothing_after(c: Cluster) {
    let options = ClusterOptions::new().unsubscribe_delay(Duration::from_millis(1));
    let (a, b) = (c.node().await, c.node_with(options).await);
    let client = Client::connect(b.address, "one").await;
    for n in 1..=100 {
        client.join("room:1").await;
        a.endpoint.broadcast("room:1", &Said::new(n)).await.unwrap();
        client.saw(n).await;
        client.leave("room:1").await;
    }
    assert_eq!(client.numbers(), (1..=100).collect::<Vec<_>>());
}

pub(crate) async fn a_subscription_outside_of_channels_hears_other_nodes(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let mut heard = b.endpoint.subscribe("jobs");
    heard.confirmed().await;
    a.endpoint.broadcast("jobs", &Said::new(1)).await.unwrap();
    assert_eq!(within("a job", heard.recv()).await.event(), "said");
}

pub(crate) async fn a_node_receives_only_topics_it_has_subscribers_for(c: Cluster) {
    if c.is_one() {
        return;
    }
    let options = ClusterOptions::new().unsubscribe_delay(Duration::from_millis(1));
    let (a, b) = (c.node().await, c.node_with(options).await);
    let client = Client::joined(b.address, "one", "room:1").await;
    let received = || b.endpoint.health().received;
    a.endpoint.broadcast("room:2", &Said::new(1)).await.unwrap();
    a.endpoint.broadcast("room:1", &Said::new(2)).await.unwrap();
    client.saw(2).await;
    assert_eq!(received(), 1);
    assert_eq!(b.endpoint.health().topics, 2, "the room and the user's id");
    client.leave("room:1").await;
    // The unsubscription is sent later; some broadcast notices it.
    let mut n = 10;
    within("unsubscribed", async {
        loop {
            let before = received();
            a.endpoint.broadcast("room:1", &Said::new(n)).await.unwrap();
            // A message on another topic shows that everything before it has been handled.
            let fence = Client::joined(b.address, "fence", &format!("fence:{n}")).await;
            let topic = format!("fence:{n}");
            a.endpoint.broadcast(topic, &Said::new(n)).await.unwrap();
            fence.saw(n).await;
            n += 1;
            if received() == before + 1 {
                break;
            }
        }
    })
    .await;
}

pub(crate) async fn a_dropped_endpoint_receives_nothing_more(c: Cluster) {
    let Some(engine) = c.engine() else { return };
    let a = c.node().await;
    let b = c.endpoint_with(ClusterOptions::new()).await;
    let heard = b.subscribe("room:1");
    heard.confirmed().await;
    let channels = match engine.kind {
        Kind::Redis => [
            format!("channel:node:{}", b.node()),
            "channel:topic:room:1".into(),
        ],
        Kind::Nats => [
            format!("channel.node.{}", b.node()),
            "channel.topic.room:1".into(),
        ],
    };
    let is_heard = || channels.each_ref().map(|name| engine.publish(name, b""));
    assert_eq!(is_heard(), [true, true]);
    let node = b.node().to_owned();
    drop((b, heard));
    eventually("nobody listens", || is_heard() == [false, false]).await;
    // No node has its name any more, which is no error.
    let event = Said::new(1);
    let sent = a.endpoint.direct_broadcast(&node, "room:1", &event);
    sent.await.unwrap();
}
