//! The server: its end, and clients that never finish.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, extract::ConnectInfo as Peer, routing::get};
use channel_runtime::{DrainOptions, ServeOptions, SocketOptions, prelude::*, serve::listen};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, Command},
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{Instant, advance, interval, pause, resume, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// The time that any expected event may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of channels that have run their `#[terminate]`.
#[derive(Clone, Default)]
struct Terminated(Arc<AtomicUsize>);

struct User(Terminated);

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned().map(User)
    }
}

struct Room(Terminated);

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    fn join(user: &User) -> Self {
        Room(user.0.clone())
    }

    #[terminate]
    fn terminate(self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Server {
    endpoint: Endpoint,
    address: SocketAddr,
    terminated: Terminated,
    /// Tells when the handler of `/slow` has begun, and lets it go on.
    slow: [Arc<Notify>; 2],
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        Self::with(SocketOptions::default(), DrainOptions::default(), PATIENCE).await
    }

    async fn with(options: SocketOptions, drain: DrainOptions, head: Duration) -> Self {
        let builder = Endpoint::builder().socket::<User>(options.path("/socket"));
        let endpoint = builder.drainer(drain).build().unwrap();
        let terminated = Terminated::default();
        let slow = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let [begun, go_on] = slow.clone();
        let who = |Peer(peer): Peer<SocketAddr>| async move { peer.ip().to_string() };
        let app = Router::new()
            .route("/", get(who))
            .route(
                "/slow",
                get(|| async move {
                    begun.notify_one();
                    go_on.notified().await;
                    "at last"
                }),
            )
            .merge(endpoint.router())
            .layer(Extension(terminated.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async {
            let _sent_or_dropped = stopped.await;
        };
        let server = endpoint.serve_until(listener, app, until);
        let server = server.head_timeout(head);
        let address = server.local_addr().unwrap();
        Server {
            endpoint,
            address,
            terminated,
            slow,
            stop: Some(stop),
            running: tokio::spawn(server.into_future()),
        }
    }

    fn stop(&mut self) {
        self.stop.take();
    }

    async fn ended(self) {
        soon(self.running).await.unwrap().unwrap();
        assert!(TcpStream::connect(self.address).await.is_err());
        assert_eq!(self.endpoint.connection_count(), 0);
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Returns a client that has joined a room.
    async fn client(&self) -> Client {
        let url = format!("ws://{}/socket/websocket?vsn=2.0.0", self.address);
        let mut client = connect_async(url).await.unwrap().0;
        let join = json!(["1", "1", "room:1", "phx_join", {}]);
        client.send(Message::text(join.to_string())).await.unwrap();
        soon(client.next()).await.unwrap().unwrap();
        client
    }
}

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn soon<F: IntoFuture>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it does not happen")
}

async fn code(client: &mut Client) -> u16 {
    let code = match soon(client.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
        other => panic!("expected a close, got {other:?}"),
    };
    // Reads on, so that the close is answered. A server does not wait for that for ever, and a late
    // client gets a reset.
    let next = soon(client.next()).await;
    assert!(!matches!(next, Some(Ok(_))), "{next:?}");
    code
}

/// Lets this time pass at once, so that a slow machine cannot interfere.
async fn pass(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Returns all bytes until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    text
}

#[tokio::test]
async fn it_ends_with_its_sockets_told_and_its_channels_terminated() {
    let mut server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.client().await);
    }
    server.stop();
    for client in &mut clients {
        assert_eq!(code(client).await, 1012);
    }
    let terminated = server.terminated.clone();
    server.ended().await;
    assert_eq!(terminated.0.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn a_drain_from_elsewhere_ends_it_too() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let endpoint = server.endpoint.clone();
    let drain = tokio::spawn(async move { endpoint.drain().await });
    assert_eq!(code(&mut client).await, 1012);
    soon(drain).await.unwrap();
    server.ended().await;
}

#[tokio::test]
async fn handlers_know_who_asks() {
    let mut server = Server::start().await;
    let mut stream = server.tcp().await;
    ask(&mut stream, "/").await;
    stream.shutdown().await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.ends_with("127.0.0.1"), "{answer}");
    server.stop();
    server.ended().await;
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered() {
    let mut server = Server::start().await;
    let mut stream = server.tcp().await;
    ask(&mut stream, "/slow").await;
    let [begun, go_on] = server.slow.clone();
    soon(begun.notified()).await;
    server.stop();
    server.endpoint.draining().await;
    go_on.notify_one();
    let answer = rest(stream).await;
    assert!(answer.ends_with("at last"), "{answer}");
    server.ended().await;
}

#[tokio::test]
async fn who_connected_before_the_end_is_answered() {
    let mut server = Server::start().await;
    let mut known = server.tcp().await;
    let mut stream = server.tcp().await;
    // Connections are accepted in order: once a third one is answered, so are these two.
    let mut third = server.tcp().await;
    ask(&mut third, "/").await;
    soon(third.read_u8()).await.unwrap();
    ask(&mut known, "/").await;
    soon(known.read_u8()).await.unwrap();
    // It has some time from the end on, which stands still until it has asked.
    pause();
    server.stop();
    server.endpoint.draining().await;
    ask(&mut stream, "/").await;
    resume();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.ended().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_does_not_hold_up_the_end() {
    let drain = DrainOptions::default().deadline(Duration::from_millis(300));
    let mut server = Server::with(SocketOptions::default(), drain, PATIENCE).await;
    let mut stream = server.tcp().await;
    ask(&mut stream, "/slow").await;
    let [begun, _] = server.slow.clone();
    soon(begun.notified()).await;
    server.stop();
    server.ended().await;
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let limit = Duration::from_millis(300);
    let mut server = Server::with(SocketOptions::default(), DrainOptions::default(), limit).await;
    let (started, stream) = (Instant::now(), server.tcp().await);
    let (mut reader, mut writer) = stream.into_split();
    let trickle = tokio::spawn(async move {
        let mut pace = interval(Duration::from_millis(10));
        for byte in b"GET / HTTP/1.1\r\nx: "
            .iter()
            .chain(std::iter::repeat(&b'x'))
        {
            pace.tick().await;
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    // The client's next byte may be answered by a reset.
    let _end_or_reset = soon(reader.read_to_end(&mut answer)).await;
    assert!(started.elapsed() >= limit, "{:?}", started.elapsed());
    assert_eq!(answer, b"", "there is no request to answer");
    soon(trickle).await.unwrap();

    // All of this request arrives before the server can read its connection.
    let mut other = std::net::TcpStream::connect(server.address).unwrap();
    other
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    other.set_nonblocking(true).unwrap();
    let other = TcpStream::from_std(other).unwrap();
    assert!(rest(other).await.starts_with("HTTP/1.1 200"));
    server.stop();
    server.ended().await;
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let limit = Duration::from_millis(200);
    let mut server = Server::with(SocketOptions::default(), DrainOptions::default(), limit).await;
    let silent = server.tcp().await;
    assert_eq!(rest(silent).await, "");
    server.stop();
    server.ended().await;
}

/// Its client disappears silently, as when a cable is pulled.
#[tokio::test]
async fn a_half_open_socket_is_closed_and_its_channels_terminate() {
    let limit = Duration::from_secs(600);
    let options = SocketOptions::default().timeout(limit);
    let mut server = Server::with(options, DrainOptions::default(), PATIENCE).await;
    let mut client = server.client().await;
    pass(limit / 2).await;
    // When this is answered, the server has checked its timers.
    let mut other = server.tcp().await;
    ask(&mut other, "/").await;
    soon(other.read_u8()).await.unwrap();
    assert_eq!(server.endpoint.connection_count(), 1);
    pass(limit / 2).await;
    // Nothing is sent and nothing is answered: the stream below is read, not the client.
    let MaybeTlsStream::Plain(stream) = client.get_mut() else {
        panic!("it is plain")
    };
    let mut frame = [0; 4];
    soon(stream.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[0], 0x88, "a close frame");
    assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), 1002);
    let settled = async {
        while server.endpoint.connection_count() > 0
            || server.terminated.0.load(Ordering::Relaxed) == 0
        {
            tokio::task::yield_now().await;
        }
    };
    soon(settled).await;
    // It never answers the close either; the server's end does not depend on it.
    server.stop();
    server.ended().await;
}

/// A server in a process of its own.
#[tokio::test]
#[ignore = "a program that other tests start"]
async fn program() {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let endpoint = Endpoint::builder()
        .drainer(DrainOptions::default().deadline(PATIENCE * 10))
        .serve_options(
            ServeOptions::default()
                .max_connections(10_000)
                .write_timeout(Duration::from_secs(1)),
        )
        .build()
        .unwrap();
    let much = get(|| async {
        tracing::info!("asked for much");
        "much ".repeat(4 << 20)
    });
    let app = Router::new().route("/", get(|| async { "home" }));
    let app = app.route("/much", much).route(
        "/never",
        get(|| async {
            tracing::info!("asked for ever");
            std::future::pending::<()>().await;
        }),
    );
    let listener = listen(([127, 0, 0, 1], 0)).await.unwrap();
    let server = endpoint.serve(listener, app);
    tracing::info!("address={}", server.local_addr().unwrap());
    server.await.unwrap();
}

struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

impl Process {
    /// It may open so many files.
    async fn start(files: usize) -> Self {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""))
            .arg(std::env::current_exe().unwrap())
            .args(["serve::program", "--exact", "--ignored", "--nocapture"])
            .env("PORT", "0")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut process = Process {
            child,
            log,
            address: SocketAddr::from(([0; 4], 0)),
        };
        let line = process.says("address=").await;
        process.address = line.split_once("address=").unwrap().1.parse().unwrap();
        process
    }

    async fn says(&mut self, text: &str) -> String {
        loop {
            let line = soon(self.log.next_line()).await.unwrap().unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    async fn terminate(&self) {
        let pid = self.child.id().unwrap().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(killed.unwrap().success());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_sigterm_ends_the_process_at_once() {
    let mut process = Process::start(256).await;
    let mut held = TcpStream::connect(process.address).await.unwrap();
    ask(&mut held, "/never").await;
    process.says("asked for ever").await;
    process.terminate().await;
    process.says("draining").await;
    process.terminate().await;
    let status = soon(process.child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(143));
}

#[cfg(unix)]
#[tokio::test]
async fn one_sigterm_ends_the_process_among_clients_that_never_finish() {
    let mut process = Process::start(1024).await;
    let mut clients = Vec::new();
    for number in 0..30 {
        let mut client = TcpStream::connect(process.address).await.unwrap();
        match number % 3 {
            0 => {}
            1 => client.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap(),
            // None of them reads its answer.
            _ => ask(&mut client, "/much").await,
        }
        clients.push(client);
    }
    for _ in 0..10 {
        process.says("asked for much").await;
    }
    process.terminate().await;
    // Long before the deadline of its drain.
    assert!(soon(process.child.wait()).await.unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_without_files_says_so_and_goes_on_once_it_has_some() {
    let (mut process, mut said) = (Process::start(32).await, false);
    for _ in 0..2 {
        let mut clients = Vec::new();
        for _ in 0..60 {
            clients.push(TcpStream::connect(process.address).await.unwrap());
        }
        if !said {
            process.says("no client can be accepted").await;
            said = true;
        }
        let mut last = clients.pop().unwrap();
        ask(&mut last, "/").await;
        drop(clients);
        // Those before it were more than the server has files for.
        soon(last.read_u8()).await.unwrap();
    }
    process.terminate().await;
    assert!(soon(process.child.wait()).await.unwrap().success());
}
