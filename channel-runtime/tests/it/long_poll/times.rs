//! Windows, expiry, and polls at the same time.

use std::time::Duration;

use channel_runtime::Reason;
use futures_util::poll;
use serde_json::json;
use tokio::{
    sync::mpsc::unbounded_channel,
    time::{Instant, sleep, timeout},
};

use crate::support::{
    poll_client::Client,
    polled_room::{WINDOW, endpoint, heard, said},
};

const SHORTLY: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_poll_in_vain_waits_out_its_window() {
    let client = Client::open(&endpoint()).await;
    let started = Instant::now();
    let answer = client.poll().await;
    assert_eq!((answer.status(), answer.token()), (204, &*client.token));
    assert_eq!(answer.json["messages"], json!([]));
    let took = started.elapsed();
    assert!(took >= WINDOW && took < WINDOW + SHORTLY * 5, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_poll_wakes_on_the_first_message() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    let started = Instant::now();
    let later = async {
        sleep(Duration::from_millis(300)).await;
        endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    };
    let (messages, ()) = tokio::join!(client.messages(), later);
    assert_eq!(messages, [heard("room:1", "hi")]);
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_millis(310),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_polls_the_later_gets_the_messages_and_the_earlier_waits_out_its_window() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    let started = Instant::now();
    let earlier = tokio::spawn({
        let client = client.clone();
        async move { client.poll().await }
    });
    sleep(Duration::from_millis(100)).await;
    let later = async {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(client.heartbeat().await, 200);
    };
    let (messages, ()) = tokio::join!(client.messages(), later);
    assert_eq!(messages.len(), 1);
    assert!(started.elapsed() < WINDOW, "{:?}", started.elapsed());
    let earlier = earlier.await.unwrap();
    assert_eq!(earlier.status(), 204);
    assert!(started.elapsed() >= WINDOW);
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_for_a_poll_that_was_given_up_is_kept_for_the_next() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    for n in 0..50 {
        let text = n.to_string();
        {
            let mut given_up = Box::pin(client.poll());
            assert!(poll!(&mut given_up).is_pending());
            // Sometimes the session has seen the poll, sometimes the poll is still on its way.
            if n % 2 == 0 {
                sleep(SHORTLY).await;
            }
        }
        endpoint.broadcast("room:1", &said(&text)).await.unwrap();
        assert_eq!(client.messages().await, [heard("room:1", &text)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_as_long_as_it_is_polled() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    for _ in 0..5 {
        assert_eq!(client.poll().await.status(), 204);
        sleep(WINDOW * 14 / 10).await;
    }
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_polls_ends_after_one_and_a_half_windows() {
    let endpoint = endpoint();
    let (sender, mut ended) = unbounded_channel::<Reason>();
    let app = endpoint.router().layer(axum::Extension(sender));
    let client = Client::open_at(app, "/socket", "vsn=2.0.0").await;
    client.join("room:1").await;
    let polled = Instant::now();
    for _ in 0..4 {
        // Publishing does not count as polling.
        sleep(WINDOW / 4).await;
        assert_eq!(client.heartbeat().await, 200);
    }
    assert_eq!(endpoint.long_poll_session_count(), 1);
    let reason = timeout(WINDOW, ended.recv()).await.unwrap();
    assert_eq!(reason, Some(Reason::Closed));
    let lived = polled.elapsed();
    assert!(
        lived >= WINDOW * 3 / 2 && lived < WINDOW * 3 / 2 + SHORTLY * 5,
        "{lived:?}"
    );
    sleep(SHORTLY).await;
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (0, 0)
    );
    assert_eq!(endpoint.subscriber_count("room:1"), 0);
    assert_eq!(client.heartbeat().await, 410);
    let answer = client.poll().await;
    assert_eq!(answer.status(), 410);
    assert_ne!(answer.token(), client.token);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_was_given_up_does_not_keep_its_session() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    assert!(timeout(WINDOW / 2, client.poll()).await.is_err());
    sleep(WINDOW * 14 / 10).await;
    assert_eq!(endpoint.long_poll_session_count(), 1);
    sleep(WINDOW / 5).await;
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_abandoned_sessions_leave_nothing() {
    let endpoint = endpoint();
    for round in 0..2 {
        let mut polls = Vec::new();
        for n in 0..1000 {
            let query = format!("vsn=2.0.0&user={n}");
            let client = Client::open_at(endpoint.router(), "/socket", &query).await;
            let joins = [
                json!(["1", "1", "room:all", "phx_join", {}]),
                json!(["2", "2", format!("room:{n}"), "phx_join", {}]),
            ];
            assert_eq!(client.publish(&joins).await, 200);
            match n % 3 {
                // Never polled, polled once, and gone in the middle of a poll.
                0 => {}
                1 => assert_eq!(client.take(2).await.len(), 2),
                _ => polls.push(tokio::spawn(async move {
                    client.take(2).await;
                    client.poll().await;
                })),
            }
        }
        while endpoint.subscriber_count("room:all") < 1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            (
                endpoint.connection_count(),
                endpoint.long_poll_session_count()
            ),
            (1000, 1000)
        );
        endpoint
            .broadcast("room:all", &said(&"x".repeat(1000)))
            .await
            .unwrap();
        polls.iter().for_each(|poll| poll.abort());
        sleep(WINDOW * 2).await;
        assert_eq!(
            (
                endpoint.connection_count(),
                endpoint.long_poll_session_count()
            ),
            (0, 0)
        );
        for topic in [
            "room:all",
            "room:0",
            "room:1",
            "room:2",
            "users:1",
            "users:999",
        ] {
            assert_eq!(
                endpoint.subscriber_count(topic),
                0,
                "{topic} in round {round}"
            );
        }
    }
}
