//! Messages from the server's own code: send, cast, call, and timers.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

use std::{sync::Mutex, time::Duration};

use channel_runtime::{
    SocketOptions,
    prelude::*,
    test::{TestChannel, TestClient},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

/// Where a test finds the channel it has joined, by its topic.
static FOUND: Mutex<Vec<(String, ChannelRef<Room>)>> = Mutex::new(Vec::new());

/// What lets a handler go on that waits.
static GO: Notify = Notify::const_new();

struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("tick")]
struct Ticked(u32);

#[derive(Clone)]
struct Tick;
struct Add(u32);
struct Total;
struct TotalLater;
struct Block {
    begun: oneshot::Sender<()>,
    end: oneshot::Receiver<()>,
}
struct End;
struct Fail;

struct Room {
    total: u32,
}

#[channel("room:*", pushes = [Ticked])]
impl Room {
    #[join]
    fn join(topic: &Topic, me: &ChannelRef<Self>) -> Self {
        FOUND.lock().unwrap().push((topic.to_string(), me.clone()));
        Room { total: 0 }
    }

    #[handle_in("tick_in")]
    fn tick_in(&mut self, milliseconds: u64, socket: &Socket<Self>) {
        socket.send_after(Duration::from_millis(milliseconds), Tick);
    }

    #[handle_in("tick_every")]
    fn tick_every(&mut self, milliseconds: u64, socket: &Socket<Self>) -> Reply {
        socket.interval(Duration::from_millis(milliseconds), Tick);
        Ok(())
    }

    #[handle_in("tick_never")]
    fn tick_never(&mut self, milliseconds: u64, socket: &Socket<Self>) -> Reply {
        socket
            .send_after(Duration::from_millis(milliseconds), Tick)
            .cancel();
        Ok(())
    }

    #[handle_in("wait")]
    async fn wait(&mut self) -> Reply {
        GO.notified().await;
        Ok(())
    }

    #[handle_info]
    fn tick(&mut self, _: Tick, socket: &Socket<Self>) -> Result<(), Error> {
        self.total += 1;
        socket.push(&Ticked(self.total))
    }

    #[handle_info]
    async fn block(&mut self, block: Block) {
        let _listening = block.begun.send(());
        let _open = block.end.await;
    }

    #[handle_info]
    fn fail(&mut self, _: Fail) -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }

    #[handle_cast]
    fn add(&mut self, add: Add) {
        self.total += add.0;
    }

    #[handle_cast]
    fn end(&mut self, _: End) -> Stop {
        Stop::shutdown_because("told to")
    }

    #[handle_call]
    async fn total(&mut self, _: Total) -> u32 {
        self.total
    }

    #[handle_call]
    fn total_later(&mut self, _: TotalLater, caller: Caller<u32>) {
        let total = self.total;
        tokio::spawn(async move { caller.reply(total) });
    }
}

/// Keeps the channel busy until what is returned is used or dropped.
async fn block(me: &ChannelRef<Room>) -> oneshot::Sender<()> {
    let ((begun, has_begun), (open, end)) = (oneshot::channel(), oneshot::channel());
    me.send(Block { begun, end });
    has_begun.await.unwrap();
    open
}

/// Joins a topic of the test's own, and finds the channel's address.
async fn join(topic: &str) -> (Endpoint, TestClient, TestChannel, ChannelRef<Room>) {
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    let room = client.join(topic, ()).await.unwrap();
    let found = FOUND
        .lock()
        .unwrap()
        .iter()
        .find(|(known, _)| known == topic)
        .unwrap()
        .1
        .clone();
    (endpoint, client, room, found)
}

#[tokio::test(start_paused = true)]
async fn send_cast_and_call_reach_the_channel_in_order() {
    let (_endpoint, _client, room, me) = join("room:order").await;
    me.cast(Add(40)).unwrap();
    me.send(Tick);
    me.cast(Add(1)).unwrap();
    assert_eq!(me.call(Total).await.unwrap(), 42);
    assert_eq!(me.call(TotalLater).await.unwrap(), 42);
    assert_eq!(room.expect_push::<Ticked>().await, Ticked(41));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_has_ended_says_so() {
    let (_endpoint, _client, room, me) = join("room:ended").await;
    me.cast(End).unwrap();
    room.expect_close().await;
    assert!(matches!(me.cast(Add(1)), Err(Error::ChannelEnded)));
    assert!(matches!(me.call(Total).await, Err(Error::ChannelEnded)));
    me.send(Tick);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_when_the_channel_ends_is_told() {
    let (_endpoint, _client, room, me) = join("room:waiting").await;
    let open = block(&me).await;
    me.cast(End).unwrap();
    let caller = tokio::spawn({
        let me = me.clone();
        async move { me.call(Total).await }
    });
    tokio::task::yield_now().await;
    open.send(()).unwrap();
    room.expect_close().await;
    assert!(matches!(caller.await.unwrap(), Err(Error::ChannelEnded)));
}

#[tokio::test(start_paused = true)]
async fn an_error_in_a_handler_that_answers_nobody_fails_the_channel() {
    let (_endpoint, _client, room, me) = join("room:fail").await;
    me.send(Fail);
    room.expect_error().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_refuses_clients_and_code_alike() {
    let (_endpoint, _client, room, me) = join("room:full").await;
    let open = block(&me).await;
    while me.cast(Add(1)).is_ok() {}
    assert!(matches!(me.call(Total).await, Err(Error::InboxFull)));
    assert_eq!(
        room.push("tick_every", 1).await.expect_refusal(),
        "channel overloaded"
    );
    open.send(()).unwrap();
    room.push("tick_every", 1).await;
    assert_eq!(me.call(Total).await.unwrap(), 256);
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_of_the_clients_bytes_until_its_handler_is_done() {
    let options = SocketOptions::default().inbox_bytes(1);
    let endpoint = Endpoint::builder().socket_with::<User>("/socket", options);
    let endpoint = endpoint.build().unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    let room = client.join("room:bytes", ()).await.unwrap();
    for _ in 0..2 {
        let waits = room.push("wait", ());
        assert_eq!(
            room.push("tick_never", 1).await.expect_refusal(),
            "channel overloaded"
        );
        GO.notify_one();
        waits.await.expect_ok::<()>();
        room.push("tick_never", 1).await.expect_ok::<()>();
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_once_and_an_interval_until_the_channel_ends() {
    let (endpoint, client, room, me) = join("room:timers").await;
    let started = tokio::time::Instant::now();
    room.cast("tick_in", 500);
    assert_eq!(room.expect_push::<Ticked>().await, Ticked(1));
    assert!(started.elapsed() >= Duration::from_millis(500));
    room.push("tick_every", 300).await.expect_ok::<()>();
    assert_eq!(room.expect_push::<Ticked>().await, Ticked(2));
    assert_eq!(room.expect_push::<Ticked>().await, Ticked(3));
    room.leave().await;
    assert!(matches!(me.call(Total).await, Err(Error::ChannelEnded)));
    client.close().await;
    endpoint.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_does_not_fire() {
    let (_endpoint, _client, room, _me) = join("room:cancelled").await;
    room.push("tick_never", 100).await.expect_ok::<()>();
    room.refute_push::<Ticked>().await;
}
