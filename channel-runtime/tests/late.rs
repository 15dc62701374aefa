//! A server that is late itself: what came in time counts, though it is looked at afterwards.
//!
//! In memory, so that the clock can stand still.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

use std::{future::pending, io, time::Duration};

use axum::{Router, routing::get, serve::Listener};
use channel_runtime::{SocketOptions, prelude::*};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::JoinHandle,
    time::{advance, sleep},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

/// How long a client may say nothing.
const LIMIT: Duration = Duration::from_secs(60);

/// Time in which nothing ends. The clock stands still while there is anything to do, so all of
/// that is done when it is over.
const SHORTLY: Duration = Duration::from_millis(1);

struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

struct Room;

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

/// Accepts what it is sent.
struct Pipes(UnboundedReceiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(pipe) => (pipe, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

struct Server {
    endpoint: Endpoint,
    pipes: UnboundedSender<DuplexStream>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start() -> Self {
        let options = SocketOptions::default().timeout(LIMIT);
        let builder = Endpoint::builder().socket_with::<User>("/socket", options);
        let endpoint = builder.build().unwrap();
        let app = Router::new().route("/", get(|| async { "home" }));
        let (pipes, listener) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let until = async { stopped.await.unwrap() };
        let app = app.merge(endpoint.router());
        let server = endpoint.serve_until(Pipes(listener), app, until);
        let running = tokio::spawn(server.into_future());
        Server {
            endpoint,
            pipes,
            stop,
            running,
        }
    }

    fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(64 * 1024);
        self.pipes.send(server).unwrap();
        client
    }
}

/// All of these may be seen first, by chance.
const TIMES: usize = 20;

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_that_was_sent_just_after_the_end() {
    let server = Server::start();
    let mut clients: Vec<_> = (0..TIMES).map(|_| server.connect()).collect();
    sleep(SHORTLY).await;
    server.stop.send(()).unwrap();
    server.endpoint.draining().await;
    sleep(SHORTLY).await;
    // The time for their requests is over, and no connection has looked yet.
    advance(LIMIT / 2).await;
    for client in &mut clients {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
    }
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
    server.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_keeps_a_client_that_is_heard_late() {
    let server = Server::start();
    let url = "ws://x/socket/websocket?vsn=2.0.0";
    let mut client = client_async(url, server.connect()).await.unwrap().0;
    sleep(SHORTLY).await;
    let heartbeat = Message::text(r#"[null,"1","phoenix","heartbeat",{}]"#);
    for _ in 0..TIMES {
        // Its time is over, and its connection has not looked yet.
        advance(LIMIT).await;
        client.send(heartbeat.clone()).await.unwrap();
        let answer = client.next().await.unwrap().unwrap();
        assert!(answer.is_text(), "{answer:?}");
        sleep(SHORTLY).await;
    }
    // Silence is not kept.
    let answer = client.next().await.unwrap().unwrap();
    assert!(answer.is_close(), "{answer:?}");
}
