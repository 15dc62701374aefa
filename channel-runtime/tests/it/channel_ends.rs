//! The ends of channels: `#[terminate]` gets the reason, and nothing is left behind.

use std::{sync::Mutex, time::Duration};

use channel_runtime::{prelude::*, test::TestClient};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The listeners for terminations: a channel on `room:<test>…` tells the test of that name.
static LISTENERS: Mutex<Vec<(&str, UnboundedSender<Reason>)>> = Mutex::new(Vec::new());

fn listen(test: &'static str) -> UnboundedReceiver<Reason> {
    let (sender, receiver) = unbounded_channel();
    LISTENERS.lock().unwrap().push((test, sender));
    receiver
}

struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

struct Room {
    test: String,
}

struct Other;

#[channel("room:*", shutdown = 2s)]
impl Room {
    #[join("room:{test}:{id}")]
    fn join(test: String, id: String) -> Self {
        let _ = id;
        Room { test }
    }

    #[handle_in("ping")]
    fn ping(&mut self) -> Reply {
        Ok(())
    }

    #[handle_in("stop")]
    fn stop(&mut self, how: String) -> Stop {
        match how.as_str() {
            "normal" => Stop::normal(),
            "shutdown" => Stop::shutdown().ok("bye"),
            "because" => Stop::shutdown_because("tired"),
            _ => Stop::error("broken").refuse(Refusal::new("sorry")),
        }
    }

    #[handle_in("crash")]
    async fn crash(&mut self) {
        panic!("as told");
    }

    #[handle_in("hang")]
    async fn hang(&mut self) {
        std::future::pending().await
    }

    #[handle_in("sleep")]
    async fn sleep(&mut self, milliseconds: u64) -> Reply {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        Ok(())
    }

    #[handle_in("later")]
    fn later(&mut self, me: &ChannelRef<Self>) {
        me.send_after(Duration::from_secs(3600), Other);
    }

    #[handle_info]
    fn other(&mut self, _: Other) {}

    #[terminate]
    async fn bye(self, reason: Reason) {
        let listeners = LISTENERS.lock().unwrap();
        for (test, listener) in listeners.iter().filter(|(test, _)| *test == self.test) {
            let _ = (test, listener.send(reason.clone()));
        }
    }
}

fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap()
}

async fn client(endpoint: &Endpoint) -> TestClient {
    TestClient::connect(endpoint, ()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn leaving_is_answered_then_terminated_then_closed() {
    let mut heard = listen("leave");
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    client.join("room:leave:1", ()).await.unwrap().leave().await;
    assert_eq!(heard.recv().await, Some(Reason::Left));
    assert_eq!(endpoint.subscriber_count("room:leave:1"), 0);
}

#[tokio::test]
async fn a_channel_that_has_ended_leaves_no_task() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let before = tasks();
    let room = client.join("room:tasks:1", ()).await.unwrap();
    // Messages behind a handler make a queue, whose memory must be given back later.
    let slow = room.push("sleep", 10);
    let next = room.push("sleep", 1);
    slow.await.expect_ok::<()>();
    next.await.expect_ok::<()>();
    room.cast("later", ());
    room.leave().await;
    let over = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_closes_all_its_channels() {
    let mut heard = listen("closed");
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let rooms = [
        client.join("room:closed:1", ()).await,
        client.join("room:closed:2", ()).await,
    ];
    client.close().await;
    assert_eq!(heard.recv().await, Some(Reason::Closed));
    assert_eq!(heard.recv().await, Some(Reason::Closed));
    assert_eq!(endpoint.connection_count(), 0);
    drop(rooms);
}

#[tokio::test(start_paused = true)]
async fn joining_again_terminates_the_old_channel_as_rejoined() {
    let mut heard = listen("rejoin");
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let _first = client.join("room:rejoin:1", ()).await.unwrap();
    let _second = client.join("room:rejoin:1", ()).await.unwrap();
    assert_eq!(heard.recv().await, Some(Reason::Rejoined));
}

#[tokio::test(start_paused = true)]
async fn each_way_to_stop_has_its_reason_and_its_message() {
    let mut heard = listen("stop");
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let room = client.join("room:stop:1", ()).await.unwrap();
    room.cast("stop", "normal");
    room.expect_close().await;
    assert_eq!(heard.recv().await, Some(Reason::Normal));

    let room = client.join("room:stop:1", ()).await.unwrap();
    assert_eq!(
        room.push("stop", "shutdown").await.expect_ok::<String>(),
        "bye"
    );
    room.expect_close().await;
    assert_eq!(heard.recv().await, Some(Reason::Shutdown(None)));

    let room = client.join("room:stop:1", ()).await.unwrap();
    room.cast("stop", "because");
    room.expect_close().await;
    assert_eq!(
        heard.recv().await,
        Some(Reason::Shutdown(Some("tired".into())))
    );

    let room = client.join("room:stop:1", ()).await.unwrap();
    assert_eq!(room.push("stop", "error").await.expect_refusal(), "sorry");
    room.expect_error().await;
    assert_eq!(heard.recv().await, Some(Reason::Error("broken".into())));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_own_channel_without_terminate() {
    let mut heard = listen("crash");
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let room = client.join("room:crash:1", ()).await.unwrap();
    let other = client.join("room:other:1", ()).await.unwrap();
    room.cast("crash", ());
    room.expect_error().await;
    other.push("ping", ()).await.expect_ok::<()>();
    let again = client.join("room:crash:1", ()).await.unwrap();
    again.push("ping", ()).await.expect_ok::<()>();
    assert!(heard.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_pipelined_behind_an_end_is_answered() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let room = client.join("room:pipeline:1", ()).await.unwrap();
    room.cast("sleep", 100);
    room.cast("crash", ());
    let late = room.push("ping", ());
    room.expect_error().await;
    assert_eq!(late.await.expect_refusal(), "unmatched topic");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_dropped_when_its_client_joins_again() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let first = client.join("room:hang:1", ()).await.unwrap();
    first.cast("hang", ());
    let second = client.join("room:hang:1", ());
    let frame = r#"[null,"hb","phoenix","heartbeat",{}]"#;
    client.send_raw(channel_runtime::protocol::Frame::Text(frame.into()));
    assert_eq!(
        client.next().await.reference,
        "hb",
        "the socket goes on meanwhile"
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    second
        .await
        .unwrap()
        .push("ping", ())
        .await
        .expect_ok::<()>();
    first.expect_close().await;
}

#[tokio::test(start_paused = true)]
async fn draining_closes_every_connection_and_waits_for_terminate() {
    let mut heard = listen("drain");
    let endpoint = endpoint();
    let (a, b) = (client(&endpoint).await, client(&endpoint).await);
    let _a1 = a.join("room:drain:1", ()).await.unwrap();
    let b1 = b.join("room:drain:2", ()).await.unwrap();
    b1.cast("sleep", 500);
    b1.cast("later", ());
    endpoint.drain().await;
    assert_eq!(heard.try_recv(), Ok(Reason::Draining));
    assert_eq!(heard.try_recv(), Ok(Reason::Draining));
    assert_eq!(
        (a.expect_close().await.code, b.expect_close().await.code),
        (1012, 1012)
    );
    assert_eq!(endpoint.connection_count(), 0);
    assert_eq!(endpoint.subscriber_count("room:drain:1"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_test_expects_may_take_seconds_on_a_slow_machine() {
    let endpoint = endpoint();
    let room = client(&endpoint).await;
    let room = room.join("room:slow:1", ()).await.unwrap();
    room.push("sleep", 5_000).await.expect_ok::<()>();
}

#[tokio::test(start_paused = true)]
async fn draining_does_not_wait_longer_than_the_shutdown_time() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let room = client.join("room:stuck:1", ()).await.unwrap();
    room.cast("hang", ());
    let started = tokio::time::Instant::now();
    endpoint.drain().await;
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_frame_ends_its_own_socket_with_a_reason() {
    let endpoint = endpoint();
    let (good, bad) = (client(&endpoint).await, client(&endpoint).await);
    let room = good.join("room:malformed:1", ()).await.unwrap();
    let _bad_room = bad.join("room:malformed:1", ()).await.unwrap();
    bad.send_raw(channel_runtime::protocol::Frame::Text("{".into()));
    assert!(bad.expect_close().await.reason.contains("malformed"));
    room.push("ping", ()).await.expect_ok::<()>();
    assert_eq!(endpoint.connection_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_channels_are_refused_by_name_and_one_that_ends_makes_room() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let mut rooms = Vec::new();
    for n in 0..100 {
        rooms.push(client.join(&format!("room:many:{n}"), ()).await.unwrap());
    }
    let refused = client.join("room:many:100", json!({})).await.unwrap_err();
    assert_eq!(refused.expect_refusal(), "too many channels joined");
    rooms.pop().unwrap().leave().await;
    client.join("room:many:100", ()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_of_a_flood_of_leaves_at_a_busy_channel_is_answered() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let room = client.join("room:leaves:1", ()).await.unwrap();
    room.cast("sleep", 500);
    let leaves: Vec<_> = (0..400).map(|_| room.push("phx_leave", ())).collect();
    for leave in leaves {
        leave.await.expect_ok::<()>();
    }
    room.expect_close().await;
}

#[tokio::test(start_paused = true)]
async fn joins_without_end_of_a_client_that_takes_no_reply_end_its_connection() {
    let options = channel_runtime::SocketOptions::default().outbox_bytes(128 * 1024);
    let endpoint = Endpoint::builder().socket::<User>(options.path("/socket"));
    let endpoint = endpoint.build().unwrap();
    let params = channel_runtime::Params::from_query("vsn=2.0.0");
    let request = channel_runtime::transport::ConnectRequest::new("silent", params);
    let mut connection = endpoint.connect("/socket", request).await.unwrap();
    for n in 0..4000 {
        // A missing capture: refused at once, so no channel stays.
        let frame = format!(r#"["{n}","{n}","room:nobody","phx_join",{{}}]"#);
        let frame = channel_runtime::protocol::Frame::Text(frame.into());
        connection.receive(frame).await.unwrap();
        tokio::task::yield_now().await;
        assert!(
            connection.waiting() <= 1024,
            "each frame counts 128 bytes and its own"
        );
    }
    assert_eq!(connection.closing().await.code, 1013);
}
