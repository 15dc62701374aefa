//! The deliveries to each client when something broke. `cargo test -p cluster-tests --test it faults::
//! -- --nocapture --test-threads 1` prints the tables.

mod engine;
mod messages;
mod nodes;
mod partition;
mod start;

use std::collections::BTreeSet;

use channel_runtime::{Endpoint, Error};
use cluster_tests::{engine::Kind, room::Said};

/// Broadcasts numbered messages on `room:1`, and returns those whose publishing failed.
pub(crate) async fn publish(
    endpoint: &Endpoint,
    numbers: impl IntoIterator<Item = u64>,
) -> BTreeSet<u64> {
    let mut failed = BTreeSet::new();
    for n in numbers {
        match endpoint.broadcast("room:1", &Said::new(n)).await {
            Ok(()) => {}
            Err(Error::Publish(_)) => {
                failed.insert(n);
            }
            Err(error) => panic!("{error}"),
        }
    }
    failed
}

macro_rules! faults {
    ($($module:ident: $($test:ident),* $(,)?;)*) => {
        mod redis {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $test() {
                $module::$test(Kind::Redis).await;
            })*)*
        }
        mod nats {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $test() {
                $module::$test(Kind::Nats).await;
            })*)*
        }
    };
}

faults! {
    engine:
        an_engine_is_killed_and_started_again,
        an_engine_is_paused_for_less_than_the_timeout,
        an_engine_is_paused_for_longer_than_the_timeout;
    nodes:
        a_node_is_killed_under_load,
        a_node_is_cut_off,
        a_node_is_too_slow;
    partition:
        a_node_is_partitioned;
    messages:
        a_payload_at_the_limit_and_one_past_it,
        somebody_else_publishes_garbage,
        more_is_published_than_the_queue_holds;
    start:
        wrong_credentials_are_one_clear_error,
        right_credentials_are_taken_from_the_url,
        a_user_needs_nothing_but_its_namespace,
        a_user_without_the_namespace_is_one_clear_error,
        tls_that_the_engine_does_not_speak_is_named,
        another_kind_of_server_is_one_line,
        a_wrong_url_and_an_engine_that_is_not_there_are_clear_errors,
        a_lazy_node_serves_its_own_clients_until_the_engine_is_there;
}
