//! A server that is late itself: bytes that came in time count, even if it reads them later.
//!
//! Runs in memory, so that the clock can stand still.

use std::{future::pending, io, time::Duration};

use axum::{
    Router,
    routing::{get, post},
    serve::Listener,
};
use channel_runtime::{DrainOptions, ServeOptions, SocketOptions, prelude::*};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::JoinHandle,
    time::{advance, sleep, timeout},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

/// The time that a client may be silent.
const LIMIT: Duration = Duration::from_secs(60);

/// A time in which nothing ends. The clock stands still while any task can run, so all of them have
/// run when it is over.
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

/// Accepts the streams that it is sent.
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
        Self::with(ServeOptions::default())
    }

    fn with(limits: ServeOptions) -> Self {
        let options = SocketOptions::default().timeout(LIMIT);
        let builder = Endpoint::builder().socket::<User>(options.path("/socket"));
        let drain = DrainOptions::default().deadline(DEADLINE);
        let builder = builder.serve_options(limits).drainer(drain);
        let endpoint = builder.build().unwrap();
        let app = Router::new()
            .route("/", get(|| async { "home" }))
            .route("/large", get(|| async { "x".repeat(LARGE) }))
            .route("/body", post(|body: String| async { body }));
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

const HEAD: Duration = Duration::from_secs(15);
const IDLE: Duration = Duration::from_secs(75);
const BODY: Duration = Duration::from_secs(60);
const WRITE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);

/// More than a pipe and the server's buffers hold.
const LARGE: usize = 5 << 20;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const HALF: &[u8] = b"GET / HTTP/1.1\r\nho";
const OTHER_HALF: &[u8] = b"st: x\r\n\r\n";
const FOR_LARGE: &[u8] = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
const HALF_BODY: &[u8] = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n12";

/// Sends a request, and reads its answer up to this end.
async fn answered(client: &mut DuplexStream, request: &[u8], end: &str) {
    client.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let read = client.read_buf(&mut answer).await.unwrap();
        assert_ne!(read, 0, "{:?}", String::from_utf8_lossy(&answer));
    }
}

/// Waits until the server has ended the connection, and returns the number of bytes before that.
async fn ended(mut client: DuplexStream) -> usize {
    let mut rest = Vec::new();
    let read = client.read_to_end(&mut rest);
    timeout(SECOND, read).await.expect("it goes on").unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_the_time_of_a_head_and_then_ends() {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..3 {
        answered(&mut client, REQUEST, "home").await;
        sleep(IDLE - SECOND).await;
    }
    answered(&mut client, REQUEST, "home").await;
    sleep(IDLE + SECOND).await;
    assert_eq!(ended(client).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_head_begins_with_its_first_byte() {
    let server = Server::start();
    let mut client = server.connect();
    sleep(HEAD - SECOND).await;
    for _ in 0..3 {
        client.write_all(HALF).await.unwrap();
        sleep(HEAD - SECOND).await;
        answered(&mut client, OTHER_HALF, "home").await;
        sleep(IDLE - SECOND).await;
    }
    client.write_all(HALF).await.unwrap();
    sleep(HEAD + SECOND).await;
    assert_eq!(ended(client).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_has_come_of_a_request_counts_although_the_server_is_late() {
    let server = Server::start();
    for late in [HALF, OTHER_HALF] {
        for _ in 0..TIMES {
            let mut client = server.connect();
            sleep(SHORTLY).await;
            if late == OTHER_HALF {
                client.write_all(HALF).await.unwrap();
                sleep(SHORTLY).await;
            }
            advance(HEAD).await;
            client.write_all(late).await.unwrap();
            sleep(SHORTLY).await;
            let rest = if late == HALF { OTHER_HALF } else { b"" };
            answered(&mut client, rest, "home").await;
            // The same between two requests.
            sleep(SHORTLY).await;
            advance(IDLE).await;
            answered(&mut client, REQUEST, "home").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_an_answer_is_ended_and_a_slow_one_is_not() {
    let server = Server::start();
    let (mut never, mut slow) = (server.connect(), server.connect());
    never.write_all(FOR_LARGE).await.unwrap();
    slow.write_all(FOR_LARGE).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..10 {
        sleep(WRITE - SECOND).await;
        let mut some = [0; 1024];
        slow.read_exact(&mut some).await.unwrap();
        taken.extend_from_slice(&some);
    }
    let held = ended(never).await;
    assert!(held < LARGE, "{held}");
    while taken.windows(4).all(|end| end != b"\r\n\r\n") {
        slow.read_buf(&mut taken).await.unwrap();
    }
    let head = taken.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let mut rest = vec![0; LARGE + head - taken.len()];
    slow.read_exact(&mut rest).await.unwrap();
    answered(&mut slow, REQUEST, "home").await;
}

#[tokio::test(start_paused = true)]
async fn a_body_may_be_slow_but_not_stand_still() {
    let server = Server::start();
    let (mut slow, mut still) = (server.connect(), server.connect());
    slow.write_all(HALF_BODY).await.unwrap();
    still.write_all(HALF_BODY).await.unwrap();
    sleep(BODY - SECOND).await;
    slow.write_all(b"3").await.unwrap();
    sleep(BODY - SECOND).await;
    answered(&mut slow, b"4", "1234").await;
    assert_eq!(ended(still).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_above_the_limit_waits_until_another_leaves() {
    let server = Server::with(ServeOptions::default().max_connections(2));
    let url = "ws://x/socket/websocket?vsn=2.0.0";
    // A WebSocket keeps its place, and a silent connection has one.
    let socket = client_async(url, server.connect()).await.unwrap().0;
    let silent = server.connect();
    sleep(SHORTLY).await;
    let mut third = server.connect();
    third.write_all(REQUEST).await.unwrap();
    let mut answer = [0];
    let waits = timeout(SECOND, third.read_exact(&mut answer)).await;
    assert!(waits.is_err(), "{waits:?}");
    drop(silent);
    answered(&mut third, b"", "home").await;
    drop(third);
    let mut fourth = server.connect();
    answered(&mut fourth, REQUEST, "home").await;
    // A silent connection does not keep its place.
    let fifth = server.connect();
    drop(socket);
    sleep(HEAD + SECOND).await;
    assert_eq!(ended(fifth).await, 0);
}

#[tokio::test(start_paused = true)]
async fn clients_that_do_nothing_do_not_hold_up_the_end() {
    let server = Server::start();
    let _silent = server.connect();
    let mut all = Vec::new();
    for request in [HALF, FOR_LARGE, HALF_BODY] {
        let mut client = server.connect();
        client.write_all(request).await.unwrap();
        all.push(client);
    }
    let mut idle = server.connect();
    answered(&mut idle, REQUEST, "home").await;
    // One byte a second does not count, either.
    let mut drips = server.connect();
    drips
        .write_all(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        .await
        .unwrap();
    let dripping = tokio::spawn(async move {
        while drips.write_all(b"x").await.is_ok() {
            sleep(SECOND).await;
        }
    });
    sleep(SHORTLY).await;
    server.stop.send(()).unwrap();
    let running = timeout(DEADLINE / 3, server.running).await;
    running.expect("it is held up").unwrap().unwrap();
    dripping.await.unwrap();
}

/// Enough that chance does not decide which of them is seen first.
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
    // The silent client is not kept.
    let answer = client.next().await.unwrap().unwrap();
    assert!(answer.is_close(), "{answer:?}");
}
