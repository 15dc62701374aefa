use std::sync::Arc;

use tokio::{
    runtime::{self, Handle},
    sync::Notify,
    time::{Duration, advance},
};

use crate::{
    connection::{ConnectRequest, Connection, Event as Told, Params},
    prelude::*,
    protocol::Frame,
};

struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

struct Room {
    go: Arc<Notify>,
    drop_badly: bool,
}

impl Drop for Room {
    fn drop(&mut self) {
        assert!(!self.drop_badly, "as told");
    }
}

struct Again;

#[channel("room:*", hibernate_after = 1s, intercept = ["seen"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room {
            go: Arc::default(),
            drop_badly: false,
        }
    }

    #[handle_in("ping")]
    async fn ping(&mut self) -> Reply {
        Ok(())
    }

    #[handle_in("wait")]
    async fn wait(&mut self) -> Reply {
        self.go.clone().notified().await;
        Ok(())
    }

    #[handle_in("again")]
    fn again(&mut self, me: &ChannelRef<Self>) -> Reply {
        me.send(Again);
        Ok(())
    }

    #[handle_info]
    fn once_more(&mut self, _again: Again, me: &ChannelRef<Self>) {
        me.send(Again);
    }

    #[handle_in("crash")]
    fn crash(&mut self) {
        self.drop_badly = true;
        panic!("as told");
    }

    #[handle_out("seen")]
    fn see(&mut self, _seen: Payload) {}
}

fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap()
}

/// Connects and joins `room:1`; the reply is still to be read.
async fn joined(endpoint: &Endpoint) -> Connection {
    let request = ConnectRequest::new("test", Params::from_query("vsn=2.0.0"));
    let mut connection = endpoint.connect("/socket", request).await.unwrap();
    send(&mut connection, "phx_join").await;
    connection
}

async fn send(connection: &mut Connection, event: &str) {
    let frame = format!(r#"["1","2","room:1","{event}",{{}}]"#);
    connection.receive(Frame::Text(frame.into())).await.unwrap();
}

async fn next(connection: &mut Connection) -> String {
    match connection.next().await {
        Told::Frame(Frame::Text(text)) => text.to_string(),
        other => panic!("expected a text, got {other:?}"),
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn what_does_not_wait_is_answered_before_the_connection_goes_on() {
    let mut connection = joined(&endpoint()).await;
    assert_eq!(connection.waiting(), 1);
    send(&mut connection, "ping").await;
    assert_eq!(connection.waiting(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_channel_has_a_task_only_while_its_handler_waits() {
    let endpoint = endpoint();
    let mut connection = joined(&endpoint).await;
    next(&mut connection).await;
    assert_eq!(tasks(), 0);
    send(&mut connection, "wait").await;
    send(&mut connection, "ping").await;
    assert_eq!((tasks(), connection.waiting()), (1, 0));
    endpoint
        .broadcast_raw("room:1", "other", Payload::empty())
        .await
        .unwrap();
    assert!(next(&mut connection).await.contains(r#""other""#));
    drop(connection);
    // The channel has its shutdown time.
    endpoint.tasks().close();
    endpoint.tasks().wait().await;
    assert_eq!(endpoint.subscriber_count("room:1"), 0);
}

/// Lets every task run that can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_handler_that_sends_to_its_own_channel_does_not_keep_the_connection() {
    let mut connection = joined(&endpoint()).await;
    next(&mut connection).await;
    send(&mut connection, "again").await;
    assert!(next(&mut connection).await.contains("phx_reply"));
    drop(connection);
}

#[tokio::test]
async fn a_panic_in_a_drop_after_a_panic_ends_the_channel_alone() {
    let mut connection = joined(&endpoint()).await;
    next(&mut connection).await;
    send(&mut connection, "crash").await;
    assert!(next(&mut connection).await.contains("phx_error"));
    send(&mut connection, "phx_join").await;
    assert!(next(&mut connection).await.contains(r#""ok""#));
}

#[tokio::test]
async fn a_drain_waits_for_channels_at_rest() {
    let endpoint = endpoint();
    let mut connection = joined(&endpoint).await;
    let drain = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.drain().await }
    });
    next(&mut connection).await;
    assert!(matches!(connection.next().await, Told::Close(_)));
    assert!(!drain.is_finished());
    drop(connection);
    drain.await.unwrap();
    assert_eq!(endpoint.subscriber_count("room:1"), 0);
}

#[test]
fn a_channel_whose_runtime_is_gone_ends_with_its_connection() {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let endpoint = endpoint();
    let connection = runtime.block_on(joined(&endpoint));
    drop(runtime);
    let other = runtime::Builder::new_current_thread().build().unwrap();
    let seen = endpoint.broadcast_raw("room:1", "seen", Payload::empty());
    other.block_on(seen).unwrap();
    assert_eq!(endpoint.subscriber_count("room:1"), 1);
    drop(connection);
    assert_eq!(endpoint.subscriber_count("room:1"), 0);
}

#[tokio::test(start_paused = true)]
async fn memory_is_given_back_after_the_idle_time_and_not_before() {
    let endpoint = endpoint();
    let _connection = joined(&endpoint).await;
    let alive = tasks();
    endpoint
        .broadcast_raw("room:1", "seen", Payload::empty())
        .await
        .unwrap();
    // The rest of the turn is the timer.
    settle().await;
    assert_eq!(tasks(), alive + 1);
    advance(Duration::from_millis(900)).await;
    settle().await;
    assert_eq!(tasks(), alive + 1);
    advance(Duration::from_millis(101)).await;
    settle().await;
    assert_eq!(tasks(), alive);
}
