//! The ends of sessions, other than for lack of a poll.

use std::time::Duration;

use channel_runtime::{LongPollOptions, Reason, SocketOptions};
use tokio::{
    sync::mpsc::unbounded_channel,
    time::{Instant, sleep, timeout},
};

use crate::support::{
    poll_client::{Client, get},
    polled_room::{WINDOW, endpoint, endpoint_with, heard, said},
};

const SHORTLY: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_disconnect_by_id_ends_the_session_at_once() {
    let endpoint = endpoint();
    let (sender, mut ended) = unbounded_channel::<Reason>();
    let app = endpoint.router().layer(axum::Extension(sender));
    let ada = Client::open_at(app.clone(), "/socket", "vsn=2.0.0&user=ada").await;
    let bob = Client::open_at(app, "/socket", "vsn=2.0.0&user=bob").await;
    ada.join("room:1").await;
    bob.join("room:1").await;
    endpoint.disconnect("users:ada").await.unwrap();
    let reason = timeout(SHORTLY, ended.recv()).await.unwrap();
    assert_eq!(reason, Some(Reason::Closed));
    sleep(SHORTLY).await;
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (1, 1)
    );
    assert_eq!(ada.heartbeat().await, 410);
    assert_eq!(ada.poll().await.status(), 410);
    bob.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_hears_of_a_disconnect_and_gets_a_new_session() {
    let endpoint = endpoint();
    let ada = Client::open_at(endpoint.router(), "/socket", "vsn=2.0.0&user=ada").await;
    let disconnect = async {
        sleep(SHORTLY).await;
        endpoint.disconnect("users:ada").await.unwrap();
    };
    let started = Instant::now();
    let (answer, ()) = tokio::join!(ada.poll(), disconnect);
    assert_eq!(answer.status(), 410);
    assert!(started.elapsed() < WINDOW);
    let again = Client {
        token: answer.token().to_owned(),
        ..ada
    };
    again.lives().await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_when_the_session_ended_can_be_fetched_once() {
    let endpoint = endpoint();
    let ada = Client::open_at(endpoint.router(), "/socket", "vsn=2.0.0&user=ada").await;
    ada.join("room:1").await;
    endpoint
        .broadcast("room:1", &said("last words"))
        .await
        .unwrap();
    endpoint.disconnect("users:ada").await.unwrap();
    sleep(SHORTLY).await;
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.subscriber_count("room:1")
        ),
        (0, 0)
    );
    assert_eq!(ada.heartbeat().await, 410);
    assert_eq!(ada.messages().await, [heard("room:1", "last words")]);
    assert_eq!(endpoint.long_poll_session_count(), 0);
    assert_eq!(ada.poll().await.status(), 410);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_fetches_is_forgotten() {
    let endpoint = endpoint();
    let ada = Client::open_at(endpoint.router(), "/socket", "vsn=2.0.0&user=ada").await;
    ada.join("room:1").await;
    endpoint
        .broadcast("room:1", &said("last words"))
        .await
        .unwrap();
    endpoint.disconnect("users:ada").await.unwrap();
    sleep(WINDOW).await;
    assert_eq!(endpoint.long_poll_session_count(), 1);
    sleep(WINDOW).await;
    assert_eq!(endpoint.long_poll_session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_fetches_too_slowly_loses_the_session() {
    let options = SocketOptions::default().outbox_frames(8);
    let endpoint = endpoint_with(options.long_poll(LongPollOptions::default()));
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    for _ in 0..9 {
        endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    }
    sleep(SHORTLY).await;
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (0, 0)
    );
    assert_eq!(client.poll().await.status(), 410);
}

#[tokio::test(start_paused = true)]
async fn while_draining_polls_end_and_no_session_opens() {
    let endpoint = endpoint();
    let (sender, mut ended) = unbounded_channel::<Reason>();
    let app = endpoint.router().layer(axum::Extension(sender));
    let waiting = Client::open_at(app.clone(), "/socket", "vsn=2.0.0").await;
    let idle = Client::open_at(app.clone(), "/socket", "vsn=2.0.0").await;
    waiting.join("room:1").await;
    idle.join("room:1").await;
    let displaced = tokio::spawn({
        let client = waiting.clone();
        async move { client.poll().await }
    });
    sleep(SHORTLY).await;
    let started = Instant::now();
    let drain = async {
        sleep(SHORTLY).await;
        endpoint.drain().await;
    };
    let (answer, ()) = tokio::join!(waiting.poll(), drain);
    for answer in [
        answer,
        idle.poll().await,
        get(&app, "/socket/longpoll?vsn=2.0.0", None).await,
    ] {
        // Clients come again on a 500, proxies go elsewhere on a 503.
        assert_eq!((answer.http.as_u16(), answer.status()), (503, 500));
    }
    assert_eq!(displaced.await.unwrap().status(), 204);
    assert_eq!(idle.heartbeat().await, 410);
    for _ in 0..2 {
        assert_eq!(ended.recv().await, Some(Reason::Draining));
    }
    assert!(started.elapsed() < WINDOW / 10, "{:?}", started.elapsed());
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (0, 0)
    );
}
