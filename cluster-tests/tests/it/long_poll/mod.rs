//! Clients that poll, with every request sent to another node than the one before. `cargo test -p
//! cluster-tests --test it long_poll:: -- --nocapture --test-threads 1` prints what they got.

mod engine;
mod nodes;

use cluster_tests::engine::Kind;

macro_rules! tests {
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

tests! {
    nodes:
        a_session_is_reached_through_any_of_three_nodes,
        a_body_larger_than_the_engine_takes_passes_in_pieces,
        the_node_of_a_session_is_killed,
        a_node_between_is_killed_and_nothing_is_lost,
        a_balancer_needs_not_be_sticky,
        two_nodes_of_one_name_serve_each_others_sessions_and_say_so;
    engine:
        an_engine_is_paused_and_nothing_of_the_sessions_node_is_lost,
        an_engine_is_killed_and_nothing_of_the_sessions_node_is_lost;
}
