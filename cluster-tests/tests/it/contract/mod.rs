//! The rules across nodes, run against a single node, Redis and NATS alike.

mod deliveries;
mod names;
mod subscriptions;

use std::sync::atomic::{AtomicU32, Ordering};

use channel_runtime::{Endpoint, pubsub::ClusterOptions};
use cluster_tests::{
    engine::{Engine, Kind},
    node::{self, Node},
};

/// The nodes of one test: several over one engine, or the same one again and again.
pub(crate) struct Cluster {
    engine: Option<Engine>,
    alone: Option<Node>,
}

static NEXT: AtomicU32 = AtomicU32::new(1);

pub(crate) fn name() -> String {
    format!("node-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Cluster {
    async fn embedded() -> Self {
        Cluster {
            engine: None,
            alone: Some(Node::alone().await),
        }
    }

    async fn over(kind: Kind) -> Self {
        Cluster {
            engine: Some(Engine::start(kind, "")),
            alone: None,
        }
    }

    /// Returns true if `a` and `b` of a test are the same node.
    pub(crate) fn is_one(&self) -> bool {
        self.alone.is_some()
    }

    /// Starts a node.
    pub(crate) async fn node(&self) -> Node {
        self.node_with(ClusterOptions::new()).await
    }

    pub(crate) async fn node_with(&self, options: ClusterOptions) -> Node {
        Node::serve(self.endpoint_with(options).await).await
    }

    /// Creates an endpoint without a port.
    pub(crate) async fn endpoint_with(&self, options: ClusterOptions) -> Endpoint {
        match (&self.engine, &self.alone) {
            (Some(engine), _) => node::endpoint(&engine.url(), options.node(name()))
                .await
                .unwrap(),
            (None, Some(alone)) => alone.endpoint.clone(),
            (None, None) => unreachable!("a cluster is one or the other"),
        }
    }

    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }
}

macro_rules! contract {
    ($($module:ident: $($test:ident),* $(,)?;)*) => {
        mod embedded {
            use super::*;
            $($(#[tokio::test] async fn $test() {
                $module::$test(Cluster::embedded().await).await;
            })*)*
        }
        mod redis {
            use super::*;
            $($(#[tokio::test] async fn $test() {
                $module::$test(Cluster::over(Kind::Redis).await).await;
            })*)*
        }
        mod nats {
            use super::*;
            $($(#[tokio::test] async fn $test() {
                $module::$test(Cluster::over(Kind::Nats).await).await;
            })*)*
        }
    };
}

contract! {
    deliveries:
        a_broadcast_reaches_all_of_its_topic_on_every_node_and_no_other,
        broadcast_from_leaves_out_the_sending_channel_only,
        a_local_broadcast_stays_on_its_node,
        a_direct_broadcast_reaches_one_node,
        intercepts_run_on_each_node,
        a_further_topic_is_heard_across_nodes,
        an_endpoint_without_sockets_is_heard,
        an_id_is_disconnected_wherever_it_is,
        binary_payloads_arrive_as_they_are,
        numbers_keep_their_digits,
        the_messages_of_one_publisher_arrive_in_order_and_once;
    subscriptions:
        nothing_sent_after_the_answer_to_a_join_is_missed,
        leaving_and_joining_again_misses_nothing_after,
        a_subscription_outside_of_channels_hears_other_nodes,
        a_node_receives_only_topics_it_has_subscribers_for,
        a_dropped_endpoint_receives_nothing_more;
    names:
        any_text_is_a_topic,
        two_namespaces_share_one_engine,
        a_node_has_a_name,
        health_says_what_was_sent_and_received,
        options_that_cannot_work_are_refused,
        an_adapter_serves_one_endpoint;
}
