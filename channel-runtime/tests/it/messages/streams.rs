//! Streams as answers, and the stream of an endpoint's broadcasts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use channel_runtime::{
    SocketOptions,
    prelude::*,
    test::{TestChannel, TestClient},
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

struct User;

#[socket(channels = [Log])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("entry")]
struct Entry {
    number: u32,
}

#[derive(Default)]
struct Log {
    pulled: Arc<AtomicU32>,
}

fn entries(pulled: &Arc<AtomicU32>, most: u32) -> impl Stream<Item = Entry> + use<> {
    let pulled = pulled.clone();
    stream::iter(0..most).map(move |number| {
        pulled.fetch_add(1, Ordering::Relaxed);
        Entry { number }
    })
}

#[channel("log:*", pushes = [Entry])]
impl Log {
    #[join]
    fn join() -> Self {
        Log::default()
    }

    #[handle_in("plain")]
    fn plain(&mut self, most: u32, socket: &Socket<Self>) -> PushStream {
        socket.stream(entries(&self.pulled, most))
    }

    #[handle_in("counted")]
    async fn counted(&mut self, most: u32, socket: &Socket<Self>) -> Reply<PushStream> {
        if most > 1000 {
            return Err(Refusal::new("too many"));
        }
        let items = entries(&self.pulled, most);
        Ok(socket.stream(items).reply(|pushed| pushed))
    }

    #[handle_in("later")]
    fn later(&mut self, to: SocketRef, socket: &Socket<Self>) {
        let items = socket.stream(entries(&self.pulled, 1));
        tokio::spawn(async move { to.ok(items) });
    }

    #[handle_in("breaks")]
    fn breaks(&mut self, socket: &Socket<Self>) -> PushStream {
        let items = [Ok(Entry { number: 1 }), Err(Refusal::new("broken"))];
        socket.stream(stream::iter(items))
    }

    #[handle_in("panics")]
    fn panics(&mut self, socket: &Socket<Self>) -> PushStream {
        socket.stream(stream::once(async { panic!("told to") }).map(|number| Entry { number }))
    }

    #[handle_in("never")]
    fn never(&mut self, socket: &Socket<Self>) -> PushStream {
        socket.stream(stream::pending::<Entry>())
    }

    #[handle_in("watch")]
    fn watch(&mut self, socket: &Socket<Self>) -> PushStream {
        let (dropped, mut gone) = mpsc::channel::<()>(1);
        let held = stream::pending::<Entry>().map(move |entry| {
            let _held = &dropped;
            entry
        });
        let endpoint = socket.endpoint().clone();
        tokio::spawn(async move {
            gone.recv().await;
            endpoint.broadcast("watched", &Entry { number: 7 }).await
        });
        socket.stream(held)
    }

    #[handle_in("pulled")]
    fn pulled(&mut self) -> Reply<u32> {
        Ok(self.pulled.load(Ordering::Relaxed))
    }
}

async fn join() -> (Endpoint, TestClient, TestChannel) {
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    let log = client.join("log:1", ()).await.unwrap();
    (endpoint, client, log)
}

#[tokio::test(start_paused = true)]
async fn items_are_pushes_and_the_end_is_the_reply() {
    let (_endpoint, _client, log) = join().await;
    let plain = log.push("plain", 3);
    for number in 0..3 {
        assert_eq!(log.expect_push::<Entry>().await, Entry { number });
    }
    plain.await.expect_ok::<()>();
    assert_eq!(log.push("counted", 5).await.expect_ok::<u64>(), 5);
    let refused = log.push("counted", 5000).await;
    assert_eq!(refused.expect_refusal(), "too many");
    log.push("later", ()).await.expect_ok::<()>();
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_a_stream_and_a_panic_is_no_answer() {
    let (_endpoint, _client, log) = join().await;
    let broken = log.push("breaks", ());
    assert_eq!(log.expect_push::<Entry>().await, Entry { number: 1 });
    assert_eq!(broken.await.expect_refusal(), "broken");
    let panicked = log.push("panics", ()).await;
    assert_eq!(panicked.expect_refusal(), "no answer");
    assert_eq!(log.push("pulled", ()).await.expect_ok::<u32>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_channel_has_sixteen_streams_and_refuses_the_next_until_one_ends() {
    let (_endpoint, client, log) = join().await;
    let waiting: Vec<_> = (0..16).map(|_| log.push("never", ())).collect();
    let refused = log.push("plain", 1).await;
    assert_eq!(refused.expect_refusal(), "too many streams");
    // Another channel has places of its own.
    let other = client.join("log:2", ()).await.unwrap();
    other.push("plain", 1).await.expect_ok::<()>();
    for _ in 0..100 {
        other.push("counted", 1).await.expect_ok::<u64>();
    }
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_channel_drops_its_streams() {
    let (endpoint, _client, log) = join().await;
    let mut heard = endpoint.subscribe("watched");
    log.cast("watch", ());
    log.push("pulled", ()).await.expect_ok::<u32>();
    log.leave().await;
    // Sent when the stream was dropped.
    let broadcast = heard.next().await.unwrap();
    assert_eq!(broadcast.event(), "entry");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_a_stream() {
    let (endpoint, _client, _log) = join().await;
    let heard = endpoint.subscribe("topic");
    for number in 0..3 {
        endpoint
            .broadcast("topic", &Entry { number })
            .await
            .unwrap();
    }
    let numbers = heard
        .take(3)
        .map(|b| b.payload().decode::<Entry>().unwrap().number);
    assert_eq!(numbers.collect::<Vec<_>>().await, [0, 1, 2]);
}

/// Uses a connection that is not read, since a client in memory reads at once.
#[tokio::test(start_paused = true)]
async fn a_stream_is_pulled_no_further_than_half_of_the_outbox_while_its_client_does_not_read() {
    use channel_runtime::{
        Params,
        protocol::Frame,
        transport::{ConnectRequest, Event},
    };

    let options = SocketOptions::default().outbox_frames(100);
    let endpoint = Endpoint::builder()
        .socket::<User>(options.path("/socket"))
        .build()
        .unwrap();
    let request = ConnectRequest::new("test", Params::from_query("vsn=2.0.0"));
    let mut connection = endpoint.connect("/socket", request).await.unwrap();
    let join = r#"["1","1","log:1","phx_join",{}]"#;
    let stream = r#"["1","2","log:1","plain",10000]"#;
    for text in [join, stream] {
        connection.receive(Frame::Text(text.into())).await.unwrap();
    }
    // Time stands still until no task can go on.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let waiting = connection.waiting();
    assert!((2..=51).contains(&waiting), "{waiting}");
    let (mut frames, mut replied) = (0, false);
    while !replied {
        let Event::Frame(Frame::Text(text)) = connection.next().await else {
            panic!("the connection ended")
        };
        assert!(connection.waiting() <= 51);
        frames += 1;
        replied = text.contains(r#""2","log:1","phx_reply""#);
    }
    // The join's reply, the items, and the stream's own reply.
    assert_eq!(frames, 10_002);
}
