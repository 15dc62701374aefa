//! Messages lost between the nodes, and the effect on a client.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, http::StatusCode};
use channel_runtime::Endpoint;
use futures_util::stream;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Roamer;
use crate::support::{
    hub::Hub,
    poll_client::reply,
    polled_room::{WINDOW, heard, said},
};

/// The time that a silent node is waited for.
const GONE: Duration = Duration::from_secs(10);

async fn say(endpoint: &Endpoint, text: &str) {
    // While the hub is down, the other nodes get nothing, which does not matter here.
    let _lost = endpoint.broadcast("room:1", &said(text)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_comes_with_the_next_poll_of_any_node() {
    for next in 0..3 {
        let hub = Hub::default();
        let nodes = hub.nodes(["a", "b", "c"]);
        let mut client = Roamer::joined(&nodes[0], &nodes[1]).await;
        let lose = async {
            // Until then the poll waits, and its node knows that the other one is alive.
            sleep(WINDOW / 2).await;
            hub.lose_next("b", 1);
            say(&nodes[0].endpoint, "1").await;
        };
        let (answer, ()) = tokio::join!(client.poll(&nodes[1]), lose);
        assert_eq!(answer.status(), 204);
        say(&nodes[0].endpoint, "2").await;
        for text in ["1", "2"] {
            let messages = client.messages(&nodes[next]).await;
            assert_eq!(messages, [heard("room:1", text)]);
        }
        assert_eq!(client.poll(&nodes[1]).await.status(), 204, "and once only");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_before_any_word_comes_with_the_same_poll() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    let long = "x".repeat(200_000);
    say(&a.endpoint, &long).await;
    // Two of the message's pieces.
    hub.lose_next("b", 2);
    assert_eq!(client.messages(&b).await, [heard("room:1", &long)]);
    assert_eq!(client.poll(&b).await.status(), 204, "and once only");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_lost_is_made_once_more() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    hub.lose_next("a", 1);
    let ping = json!(["1", "2", "room:1", "ping", {}]);
    assert_eq!(client.publish(&b, &[ping]).await, 200);
    hub.lose_next("a", 1);
    assert_eq!(
        client.messages(&b).await,
        [reply("2", "room:1", "ok", json!({}))]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_published_without_an_answer_is_not_published_again() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    let text = json!(["1", "2", "room:1", "ping", {}]).to_string();
    // When the body is complete, it is the client's turn; the outcome gets lost.
    let body = Body::from_stream(stream::once(async move {
        sleep(WINDOW / 10).await;
        hub.lose_next("b", 1);
        Ok::<_, Infallible>(text)
    }));
    let answer = client.at(&b.app).post("text/plain", body).await;
    assert_eq!(answer.status(), 408);
    let pong = reply("2", "room:1", "ok", json!({}));
    assert_eq!(client.messages(&b).await, [pong]);
    assert_eq!(client.poll(&b).await.status(), 204);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_a_dead_node_gets_a_new_session() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    hub.kill("a");
    let began = Instant::now();
    let ping = json!(["1", "2", "room:1", "ping", {}]);
    assert_eq!(client.publish(&b, &[ping]).await, 410);
    assert_eq!(began.elapsed(), GONE);
    let old = client.0.token.clone();
    assert_eq!(client.poll(&b).await.status(), 410);
    assert_eq!(began.elapsed(), GONE * 2);
    assert_ne!(client.0.token, old);
    assert_eq!(b.endpoint.long_poll_session_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_stopped_for_a_while_loses_no_session() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    let publisher = Roamer(client.0.clone());
    let ping = [json!(["1", "2", "room:1", "ping", {}])];
    hub.stop("a");
    let go_on = async {
        sleep(GONE - Duration::from_millis(1)).await;
        hub.go_on("a");
    };
    let (messages, published, ()) =
        tokio::join!(client.messages(&b), publisher.publish(&b, &ping), go_on);
    assert_eq!(published, 200);
    assert_eq!(messages, [reply("2", "room:1", "ok", json!({}))]);
    assert_eq!(client.poll(&b).await.status(), 204, "and once only");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_to_the_engine_later_than_another_loses_no_session() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    hub.set_down(true);
    let back = async {
        sleep(WINDOW / 2).await;
        // B is back, and A tries again in a few seconds.
        hub.lose_next("a", 4);
        hub.set_down(false);
        say(&a.endpoint, "back").await;
    };
    let (messages, ()) = tokio::join!(client.messages(&b), back);
    assert_eq!(messages, [heard("room:1", "back")]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_again_after_its_answer_brings_nothing_twice() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    say(&a.endpoint, "1").await;
    hub.stop("a");
    let step = async {
        sleep(Duration::from_millis(1500)).await;
        hub.step("a");
    };
    let (messages, ()) = tokio::join!(client.messages(&b), step);
    assert_eq!(messages, [heard("room:1", "1")]);
    hub.go_on("a");
    sleep(Duration::from_millis(1)).await;
    // It does not take new messages without a poll, either.
    let before = hub.sent_to("b");
    say(&a.endpoint, "2").await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(hub.sent_to("b"), before);
    assert_eq!(client.messages(&b).await, [heard("room:1", "2")]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_under_a_poll_is_found_out_by_the_next() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    let began = Instant::now();
    let die = async {
        sleep(WINDOW / 10).await;
        hub.kill("a");
        // It does not send anything any more, either.
        hub.lose_next("b", usize::MAX);
    };
    let (answer, ()) = tokio::join!(client.poll(&b), die);
    assert_eq!(answer.status(), 204);
    assert_eq!(client.poll(&b).await.status(), 410);
    let most = WINDOW + Duration::from_secs(1) + GONE;
    assert!(began.elapsed() <= most, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_restarted_under_its_name_is_waited_for_in_case_there_are_two() {
    const TWO: Duration = Duration::from_secs(2);
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    hub.kill("a");
    let restarted = hub.node("a");
    let began = Instant::now();
    assert_eq!(client.at(&restarted.app).heartbeat().await, 410);
    assert_eq!(client.publish(&b, &[]).await, 410);
    assert_eq!(began.elapsed(), GONE + TWO);
    assert_eq!(client.poll(&b).await.status(), 410);
    assert_eq!(began.elapsed(), GONE + TWO + TWO);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_for_less_than_a_window_is_waited_for() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    hub.set_down(true);
    say(&a.endpoint, "meanwhile").await;
    let back = async {
        sleep(WINDOW / 2).await;
        hub.set_down(false);
    };
    let ping = [json!(["1", "2", "room:1", "ping", {}])];
    let publisher = Roamer(client.0.clone());
    let (polled, published, ()) =
        tokio::join!(client.messages(&b), publisher.publish(&b, &ping), back);
    assert_eq!(published, 200);
    assert_eq!(polled[0], heard("room:1", "meanwhile"));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stays_away_is_said_to_the_client() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    hub.set_down(true);
    let began = Instant::now();
    let answer = client.poll(&b).await;
    assert_eq!(
        (answer.http, answer.status()),
        (StatusCode::SERVICE_UNAVAILABLE, 500)
    );
    assert_eq!(began.elapsed(), WINDOW, "no client comes back at once");
    let answer = client.at(&b.app).post("text/plain", "[]").await;
    assert_eq!(
        (answer.http, answer.status()),
        (StatusCode::SERVICE_UNAVAILABLE, 500)
    );
    // The node of the session serves it as before, for as long as it lives.
    let mut client = Roamer::open(&a).await;
    assert_eq!(
        client
            .publish(&a, &[json!(["1", "1", "room:1", "phx_join", {}])])
            .await,
        200
    );
    assert_eq!(client.messages(&a).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_words_of_a_session_arrive_through_another_node() {
    let hub = Hub::default();
    let [a, b] = hub.nodes(["a", "b"]);
    let mut client = Roamer::joined(&a, &b).await;
    say(&a.endpoint, "last").await;
    a.endpoint.drain().await;
    hub.lose_next("b", 1);
    let last = client.messages(&b).await;
    assert_eq!(last[0], heard("room:1", "last"), "{last:?}");
    assert_eq!(client.poll(&b).await.status(), 410);
    assert_eq!(a.endpoint.long_poll_session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_drains_lets_go_of_polls_of_other_nodes_sessions() {
    let [a, b, c] = Hub::default().nodes(["a", "b", "c"]);
    let mut client = Roamer::joined(&a, &b).await;
    let began = Instant::now();
    let drain = async {
        sleep(WINDOW / 10).await;
        b.endpoint.drain().await;
    };
    let (answer, ()) = tokio::join!(client.poll(&b), drain);
    assert_eq!((answer.status(), began.elapsed()), (204, WINDOW / 10));
    // A poll that still comes does not return at once.
    assert_eq!(client.poll(&b).await.status(), 204);
    assert_eq!(began.elapsed(), WINDOW / 10 + Duration::from_secs(1));
    say(&a.endpoint, "hi").await;
    assert_eq!(client.messages(&c).await, [heard("room:1", "hi")]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_its_first_token_gets_all_but_its_first_answer_once() {
    let [a, b] = Hub::default().nodes(["a", "b"]);
    let client = Roamer::open(&a).await.at(&b.app);
    let join = json!(["1", "1", "room:1", "phx_join", {}]);
    assert_eq!(client.publish(&[join]).await, 200);
    for _ in 0..2 {
        assert_eq!(client.poll().await.messages().len(), 1);
    }
    for text in ["1", "2", "3"] {
        say(&a.endpoint, text).await;
        assert_eq!(client.poll().await.messages(), [heard("room:1", text)]);
    }
}
