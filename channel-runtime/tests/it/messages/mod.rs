//! Messages from the server's own code: send, cast, call, and timers.

mod gates;
mod requests;
mod streams;
mod valid;

use std::{sync::Mutex, time::Duration};

use channel_runtime::{
    SocketOptions,
    prelude::*,
    test::{TestChannel, TestClient},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

/// The joined channels, by topic, for the tests to find.
static FOUND: Mutex<Vec<(String, ChannelRef<Room>)>> = Mutex::new(Vec::new());

/// Releases a handler that waits.
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

    /// Counts a message, and returns the number of earlier ones.
    #[handle_in("count")]
    fn count(&mut self) -> Reply<u32> {
        self.total += 1;
        Ok(self.total - 1)
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

/// Keeps the channel busy until the returned sender is used or dropped.
async fn block(me: &ChannelRef<Room>) -> oneshot::Sender<()> {
    let ((begun, has_begun), (open, end)) = (oneshot::channel(), oneshot::channel());
    me.send(Block { begun, end });
    has_begun.await.unwrap();
    open
}

/// Joins a topic of this test alone, and finds the channel's address.
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
async fn a_full_mailbox_refuses_code_and_takes_what_its_client_sends() {
    let (_endpoint, _client, room, me) = join("room:full").await;
    let open = block(&me).await;
    while me.cast(Add(1)).is_ok() {}
    assert!(matches!(me.call(Total).await, Err(Error::MailboxFull)));
    let pushed = room.push("tick_never", 1);
    open.send(()).unwrap();
    pushed.await.expect_ok::<()>();
    assert_eq!(me.call(Total).await.unwrap(), 256);
}

/// Returns a client with its own endpoint, in a room that is busy until the returned sender is
/// used.
async fn busy(
    topic: &str,
    options: SocketOptions,
    all: usize,
) -> (Endpoint, TestClient, TestChannel, oneshot::Sender<()>) {
    let endpoint = Endpoint::builder().socket::<User>(options.path("/socket"));
    let endpoint = endpoint.mailbox_bytes(all).build().unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    let room = client.join(topic, ()).await.unwrap();
    let me = {
        let found = FOUND.lock().unwrap();
        let mut known = found.iter().filter(|(known, _)| known == topic);
        known.next().unwrap().1.clone()
    };
    let open = block(&me).await;
    (endpoint, client, room, open)
}

#[tokio::test(start_paused = true)]
async fn a_client_may_send_far_ahead_of_a_busy_channel_and_loses_nothing() {
    let (_endpoint, client, room, open) =
        busy("room:ahead", SocketOptions::default(), 256 << 20).await;
    let ahead: Vec<_> = (0..10_000).map(|_| room.push("count", ())).collect();
    // Everything else is served meanwhile.
    let other = client.join("room:beside", ()).await.unwrap();
    other.push("count", ()).await.expect_ok::<u32>();
    let heartbeat = r#"[null,"hb","phoenix","heartbeat",{}]"#;
    client.send_raw(channel_runtime::protocol::Frame::Text(heartbeat.into()));
    assert_eq!(client.next().await.reference, "hb");
    open.send(()).unwrap();
    for (n, answer) in (0..).zip(ahead) {
        assert_eq!(answer.await.expect_ok::<u32>(), n);
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_a_client_is_not_read_and_refused_only_after_its_time() {
    let options = || SocketOptions::default().mailbox_bytes(2_000);
    // The limit of the connection, and the total limit, outside which each has 16 KiB.
    for (topic, options, all, messages) in [
        ("room:held", options(), 256 << 20, 100),
        ("room:spent", SocketOptions::default(), 1, 400),
    ] {
        let options = options.mailbox_wait(Duration::from_secs(4));
        let (endpoint, client, room, open) = busy(topic, options.clone(), all).await;
        let began = tokio::time::Instant::now();
        let ahead: Vec<_> = (0..messages).map(|_| room.push("count", ())).collect();
        tokio::time::sleep(Duration::from_secs(3)).await;
        // Other clients are not held up by it.
        let other = TestClient::connect(&endpoint, ()).await.unwrap();
        let beside = other.join(&format!("{topic}:other"), ()).await.unwrap();
        beside.push("count", ()).await.expect_ok::<u32>();
        open.send(()).unwrap();
        for (n, answer) in (0..).zip(ahead) {
            assert_eq!(answer.await.expect_ok::<u32>(), n);
        }
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        drop(client);

        let topic = format!("{topic}:again");
        let (_endpoint, client, room, open) = busy(&topic, options, all).await;
        let began = tokio::time::Instant::now();
        let mut ahead: Vec<_> = (0..messages).map(|_| room.push("count", ())).collect();
        let last = ahead.pop().unwrap();
        assert_eq!(last.await.expect_refusal(), "channel overloaded");
        assert_eq!(began.elapsed(), Duration::from_secs(4));
        // From now on, a message that needs no room is served again.
        let heartbeat = r#"[null,"hb","phoenix","heartbeat",{}]"#;
        client.send_raw(channel_runtime::protocol::Frame::Text(heartbeat.into()));
        open.send(()).unwrap();
        let (mut handled, mut refused) = (0, 0);
        for answer in ahead {
            let answer = answer.await;
            if answer.status() == "ok" {
                assert_eq!((answer.expect_ok::<u32>(), refused), (handled, 0));
                handled += 1;
            } else {
                assert_eq!(answer.expect_refusal(), "channel overloaded");
                refused += 1;
            }
        }
        assert!(handled > 3 && refused > 10, "{handled} {refused}");
        assert_eq!(client.next().await.reference, "hb");
        assert_eq!(room.push("count", ()).await.expect_ok::<u32>(), handled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leave_and_a_join_behind_a_burst_come_in_their_turn() {
    let options = SocketOptions::default().mailbox_bytes(10_000);
    let (_endpoint, client, room, open) = busy("room:turns", options, 256 << 20).await;
    let ahead: Vec<_> = (0..100).map(|_| room.push("count", ())).collect();
    let leave = room.push("phx_leave", ());
    let again = client.join("room:turns", ());
    open.send(()).unwrap();
    for (n, answer) in (0..).zip(ahead) {
        assert_eq!(answer.await.expect_ok::<u32>(), n);
    }
    leave.await.expect_ok::<()>();
    let again = again.await.unwrap();
    assert_eq!(again.push("count", ()).await.expect_ok::<u32>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_read_still_gets_what_it_is_sent_and_its_end() {
    let options = SocketOptions::default().mailbox_bytes(2_000);
    let (endpoint, client, room, _open) = busy("room:deaf", options, 256 << 20).await;
    let _ahead: Vec<_> = (0..100).map(|_| room.push("count", ())).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    endpoint.local_broadcast("room:deaf", &Ticked(7)).unwrap();
    assert_eq!(room.expect_broadcast::<Ticked>().await, Ticked(7));
    let drained = tokio::spawn(async move { endpoint.drain().await });
    assert_eq!(client.expect_close().await.code, 1012);
    drained.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_of_the_clients_bytes_until_its_handler_is_done() {
    let options = SocketOptions::default().mailbox_bytes(1);
    let endpoint = Endpoint::builder().socket::<User>(options.path("/socket"));
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
async fn an_interval_of_zero_panics_where_it_is_set() {
    let (_endpoint, _client, _room, me) = join("room:zero").await;
    let set = std::panic::AssertUnwindSafe(|| me.interval(Duration::ZERO, Tick));
    assert!(std::panic::catch_unwind(set).is_err());
    assert_eq!(me.call(Total).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_interval_that_no_clock_reaches_waits() {
    let (_endpoint, _client, _room, me) = join("room:never").await;
    let tasks = tokio::runtime::Handle::current().metrics();
    // The clock is paused: this lets the channel hibernate, which ends the task that waits for it.
    let hibernated = || tokio::time::sleep(Duration::from_secs(60));
    hibernated().await;
    let before = tasks.num_alive_tasks();
    let timers = [
        me.interval(Duration::MAX, Tick),
        me.send_after(Duration::MAX, Tick),
    ];
    assert_eq!(me.call(Total).await.unwrap(), 0);
    hibernated().await;
    // A timer that panicked is a task that is gone.
    assert_eq!(tasks.num_alive_tasks(), before + timers.len());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_does_not_fire() {
    let (_endpoint, _client, room, _me) = join("room:cancelled").await;
    room.push("tick_never", 100).await.expect_ok::<()>();
    room.refute_push::<Ticked>().await;
}
