use std::time::Duration;

use channel_runtime::{
    Endpoint,
    pubsub::{ClusterOptions, Status},
};
use cluster_tests::{
    PATIENCE,
    client::Client,
    node::{Node, endpoint},
    room::Said,
    within,
};

use super::Cluster;

pub(crate) async fn any_text_is_a_topic(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    let long = "x".repeat(4000);
    let longer = format!("{long}y");
    let topics = [
        "", " ", ".", "a.b", "*", "room:*", ">", "a\nb", "\0", "ü", "=", "==", &long, &longer,
    ];
    for (n, topic) in topics.iter().enumerate() {
        let n = n as u64;
        let mut heard = b.endpoint.subscribe(*topic);
        heard.confirmed().await;
        a.endpoint.broadcast(*topic, &Said::new(n)).await.unwrap();
        let broadcast = within(&format!("topic {topic:?}"), heard.recv()).await;
        assert_eq!(broadcast.topic().as_str(), *topic);
        assert_eq!(broadcast.payload().decode::<Said>().unwrap(), Said::new(n));
    }
}

pub(crate) async fn two_namespaces_share_one_engine(c: Cluster) {
    if c.is_one() {
        return;
    }
    let named = |namespace| ClusterOptions::new().namespace(namespace);
    let (shop, shop_too) = (
        c.node_with(named("shop")).await,
        c.node_with(named("shop")).await,
    );
    let blog = c.node_with(named("blog")).await;
    let customer = Client::joined(shop_too.address, "customer", "room:1").await;
    let reader = Client::joined(blog.address, "reader", "room:1").await;
    shop.endpoint
        .broadcast("room:1", &Said::new(1))
        .await
        .unwrap();
    customer.saw(1).await;
    blog.endpoint
        .broadcast("room:1", &Said::new(2))
        .await
        .unwrap();
    reader.saw(2).await;
    assert_eq!(customer.numbers(), [1]);
    assert_eq!(reader.numbers(), [2]);
}

pub(crate) async fn a_node_has_a_name(c: Cluster) {
    let Some(engine) = c.engine() else {
        assert_eq!(c.node().await.endpoint.node(), "");
        return;
    };
    let unnamed = endpoint(&engine.url(), ClusterOptions::new())
        .await
        .unwrap();
    let id = format!("-{}-", std::process::id());
    assert!(unnamed.node().contains(&id), "{}", unnamed.node());
    let another = endpoint(&engine.url(), ClusterOptions::new()).await;
    assert_ne!(another.unwrap().node(), unnamed.node());
    let url = engine.url();
    let named = endpoint(&url, ClusterOptions::new().node("web-1"));
    assert_eq!(named.await.unwrap().node(), "web-1");
}

pub(crate) async fn health_says_what_was_sent_and_received(c: Cluster) {
    let (a, b) = (c.node().await, c.node().await);
    if c.is_one() {
        assert_eq!(a.endpoint.health().status, Status::Embedded);
        assert!(a.endpoint.health().is_up());
        return;
    }
    a.up().await;
    let client = Client::joined(b.address, "one", "room:1").await;
    a.endpoint.broadcast("room:1", &Said::new(1)).await.unwrap();
    client.saw(1).await;
    let (sent, got) = (a.endpoint.health(), b.endpoint.health());
    assert_eq!((sent.published, sent.lost, sent.received), (1, 0, 0));
    assert_eq!((got.published, got.received, got.garbage), (0, 1, 0));
    assert_eq!(sent.status, Status::Up);
    cluster_tests::eventually("lag", || a.endpoint.health().lag.is_some()).await;
    assert!(a.endpoint.health().lag < Some(PATIENCE));
    assert_eq!(sent.disconnects, 0);
}

pub(crate) async fn options_that_cannot_work_are_refused(c: Cluster) {
    let Some(engine) = c.engine() else { return };
    let wrong = [
        ClusterOptions::new().namespace(""),
        ClusterOptions::new().namespace("a b"),
        ClusterOptions::new().node(""),
        ClusterOptions::new().queue_messages(0),
        ClusterOptions::new().timeout(Duration::ZERO),
    ];
    for options in wrong {
        let error = Node::connect(&engine.url(), options.clone()).await.err();
        assert!(error.is_some(), "{options:?}");
    }
}

pub(crate) async fn an_adapter_serves_one_endpoint(c: Cluster) {
    use std::sync::Arc;

    use channel_runtime::{
        Bytes, Topic,
        pubsub::{Adapter, BoxFuture, Health, LocalDelivery, PublishError, Redis, StartError},
    };

    /// One adapter for two endpoints.
    #[derive(Clone)]
    struct Shared(Arc<Redis>);

    impl Adapter for Shared {
        fn node(&self) -> &str {
            self.0.node()
        }
        fn start(&self, local: LocalDelivery) -> Result<(), StartError> {
            self.0.start(local)
        }
        fn broadcast(&self, t: &Topic, m: Bytes) -> BoxFuture<'static, Result<(), PublishError>> {
            self.0.broadcast(t, m)
        }
        fn direct_broadcast(
            &self,
            node: &str,
            m: Bytes,
        ) -> BoxFuture<'static, Result<(), PublishError>> {
            self.0.direct_broadcast(node, m)
        }
        fn subscribe(&self, topic: &Topic) {
            self.0.subscribe(topic);
        }
        fn unsubscribe(&self, topic: &Topic) {
            self.0.unsubscribe(topic);
        }
        fn health(&self) -> Health {
            self.0.health()
        }
    }

    let url = c.engine().map(|engine| engine.url());
    let Some(url) = url.filter(|url| url.starts_with("redis")) else {
        return;
    };
    let shared = Shared(Arc::new(Redis::connect(&url).await.unwrap()));
    let _one = Endpoint::builder().pubsub(shared.clone()).build().unwrap();
    let error = Endpoint::builder().pubsub(shared).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pubsub adapter cannot start: an adapter serves one endpoint"
    );
}
