//! The WebSocket transport, with a real server and real sockets.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use channel_runtime::{ConnectInfoKey, SlowConsumer, SocketOptions, prelude::*};
use futures_util::{SinkExt, StreamExt};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    sync::Notify,
    time::{advance, pause, resume, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{Error as WsError, Message, client::IntoClientRequest},
};

struct User {
    peer: Option<SocketAddr>,
    agent: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    deny: bool,
    #[serde(default)]
    crash: bool,
}

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(credentials: Credentials, info: &ConnectInfo) -> Option<Self> {
        assert!(!credentials.crash, "as told");
        let user = User {
            peer: info.peer_addr,
            agent: info.user_agent.clone(),
        };
        (!credentials.deny).then_some(user)
    }
}

#[derive(Serialize, Deserialize, Event)]
#[event("blob")]
struct Blob {
    data: String,
}

struct Room;

#[channel("room:*", socket = User, pushes = [Blob])]
impl Room {
    #[join]
    fn join(user: &User) -> (Self, Value) {
        (
            Room,
            json!({"peer": user.peer.map(|peer| peer.ip()), "agent": user.agent}),
        )
    }

    #[handle_in("ping")]
    fn ping(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }

    #[handle_in("wait")]
    async fn wait(&mut self, topic: &Topic) -> Reply {
        WAITS.notify_one();
        if topic.as_str() != "room:ever" {
            GO.notified().await;
            return Ok(());
        }
        std::future::pending().await
    }
}

/// Notified when a handler waits until it may go on.
static WAITS: Notify = Notify::const_new();
static GO: Notify = Notify::const_new();

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The limit of every wait, each of which is for an event; only a failing test takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The silence granted to a client that must not be closed for it.
const HOUR: Duration = Duration::from_secs(3600);

async fn serve(options: SocketOptions) -> (Endpoint, SocketAddr) {
    let endpoint = Endpoint::builder()
        .socket::<User>(options.path("/socket"))
        .build()
        .unwrap();
    let addr = listen(&endpoint).await;
    (endpoint, addr)
}

async fn listen(endpoint: &Endpoint) -> SocketAddr {
    let app: Router = endpoint
        .router()
        .merge(Router::new().route("/", get(|| async { "home" })));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn connect(addr: SocketAddr) -> Client {
    connect_async(format!("ws://{addr}/socket/websocket?vsn=2.0.0"))
        .await
        .unwrap()
        .0
}

async fn next(client: &mut Client) -> Option<Result<Message, WsError>> {
    timeout(PATIENCE, client.next())
        .await
        .expect("nothing came")
}

async fn reply(client: &mut Client) -> Value {
    match next(client).await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        other => panic!("expected text, got {other:?}"),
    }
}

async fn send(client: &mut Client, frame: Value) {
    client.send(Message::text(frame.to_string())).await.unwrap();
}

async fn join(client: &mut Client, topic: &str) -> Value {
    send(client, json!(["1", "1", topic, "phx_join", {}])).await;
    let reply = reply(client).await;
    assert_eq!(reply[4]["status"], "ok", "{reply}");
    reply[4]["response"].clone()
}

/// Reads until the server closes, and returns the code.
async fn closed(client: &mut Client) -> Option<u16> {
    loop {
        match next(client).await {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

async fn settled(endpoint: &Endpoint, connections: usize) {
    let wait = async {
        while endpoint.connection_count() != connections {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("connections are left");
}

/// Returns the status line of a plain HTTP request.
async fn status(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_connect_info_says_who_connects() {
    let asked = [ConnectInfoKey::PeerAddr, ConnectInfoKey::UserAgent];
    let (_endpoint, addr) = serve(SocketOptions::default().connect_info(asked)).await;
    let mut request = format!("ws://{addr}/socket/websocket?vsn=2.0.0")
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("user-agent", "tests/1".parse().unwrap());
    let mut client = connect_async(request).await.unwrap().0;
    let response = join(&mut client, "room:1").await;
    assert_eq!(response, json!({"peer": "127.0.0.1", "agent": "tests/1"}));
}

#[tokio::test]
async fn the_sockets_routes_live_beside_the_applications_own() {
    let (_endpoint, addr) = serve(SocketOptions::default()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\nhost: x\nconnection: close\n\n");
    assert!(status(addr, &get("/")).await.contains("200"));
    assert!(status(addr, &get("/socket")).await.contains("404"));
}

#[tokio::test]
async fn what_is_no_websocket_request_gets_an_http_error() {
    let (endpoint, addr) = serve(SocketOptions::default()).await;
    let upgrade = "connection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\n";
    let head = "/socket/websocket?vsn=2.0.0 HTTP/1.1\nhost: x\n";
    for (request, code) in [
        (format!("GET {head}connection: close\n\n"), "400"),
        (
            format!("POST {head}connection: close\ncontent-length: 0\n\n"),
            "400",
        ),
        (format!("GET {head}{upgrade}connection: close\n\n"), "400"),
        (
            format!(
                "GET {head}connection: upgrade, close\nupgrade: websocket\nsec-websocket-key: x\nsec-websocket-version: 12\n\n"
            ),
            "426",
        ),
        (
            "GET /socket/websocket?vsn=9.0.0 HTTP/1.1\nhost: x\nconnection: close\n\n".to_owned(),
            "403",
        ),
        (
            "GET /socket/websocket?vsn=2.0.0&deny=true HTTP/1.1\nhost: x\nconnection: close\n\n"
                .to_owned(),
            "403",
        ),
        (
            "GET /socket/websocket?vsn=2.0.0&crash=true HTTP/1.1\nhost: x\nconnection: close\n\n"
                .to_owned(),
            "500",
        ),
    ] {
        let line = status(addr, &request).await;
        assert!(line.contains(code), "{line} for {request}");
    }
    assert_eq!(endpoint.connection_count(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_and_disturbs_nobody() {
    let options = SocketOptions::default().outbox_frames(8).timeout(HOUR);
    let (endpoint, addr) = serve(options).await;
    let (mut stuck, mut good) = (connect(addr).await, connect(addr).await);
    join(&mut stuck, "room:1").await;
    join(&mut good, "room:1").await;
    let blob = Blob {
        data: "x".repeat(256 * 1024),
    };
    let mut sent = 0;
    while endpoint.connection_count() == 2 {
        endpoint.broadcast("room:1", &blob).await.unwrap();
        sent += 1;
        assert!(
            sent < 2000,
            "the client that does not read is still connected"
        );
        assert_eq!(reply(&mut good).await[3], "blob");
    }
    join(&mut good, "room:2").await;
    settled(&endpoint, 1).await;
}

/// Connects a client with small buffers in the system.
async fn connect_small(addr: SocketAddr) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(addr).await.unwrap();
    let url = format!("ws://{addr}/socket/websocket?vsn=2.0.0");
    client_async(url, stream).await.unwrap().0
}

async fn join_small(client: &mut WebSocketStream<TcpStream>, topic: &str) {
    let join = json!(["1", "1", topic, "phx_join", {}]).to_string();
    client.send(Message::text(join)).await.unwrap();
    let reply = timeout(PATIENCE, client.next()).await.unwrap();
    assert!(
        reply
            .unwrap()
            .unwrap()
            .to_text()
            .unwrap()
            .contains("phx_reply")
    );
}

#[tokio::test]
async fn a_client_that_pauses_reads_all_that_went_by_in_order() {
    let (endpoint, addr) = serve(SocketOptions::default().timeout(HOUR)).await;
    let mut client = connect_small(addr).await;
    join_small(&mut client, "room:1").await;
    for n in 0..5000 {
        let data = format!("{n:01024}");
        endpoint.broadcast("room:1", &Blob { data }).await.unwrap();
    }
    for n in 0..5000 {
        match timeout(PATIENCE, client.next())
            .await
            .expect("nothing came")
        {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(message[4]["data"], format!("{n:01024}"));
            }
            other => panic!("{n} were read, then came {other:?}"),
        }
    }
    assert_eq!(endpoint.connection_count(), 1);
}

#[tokio::test]
async fn clients_that_never_read_share_a_budget_and_the_quick_ones_stay() {
    const STUCK: usize = 40;
    let endpoint = Endpoint::builder()
        .socket::<User>(SocketOptions::new("/socket").timeout(HOUR))
        .outbox_bytes(2 << 20)
        .build()
        .unwrap();
    let addr = listen(&endpoint).await;
    let mut quick = connect(addr).await;
    join(&mut quick, "room:quick").await;
    let mut stuck = Vec::new();
    for n in 0..STUCK {
        let mut client = connect_small(addr).await;
        join_small(&mut client, &format!("room:{n}")).await;
        stuck.push(client);
    }
    let data = "x".repeat(64 * 1024);
    let mut rounds = 0;
    while endpoint.connection_count() > 1 {
        for n in 0..STUCK {
            let blob = Blob { data: data.clone() };
            endpoint
                .broadcast(format!("room:{n}"), &blob)
                .await
                .unwrap();
        }
        let blob = Blob { data: data.clone() };
        endpoint.broadcast("room:quick", &blob).await.unwrap();
        assert_eq!(reply(&mut quick).await[3], "blob");
        rounds += 1;
        assert!(rounds < 500, "more waits than the budget allows");
    }
    join(&mut quick, "room:still-here").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_broadcasts_where_the_policy_says_so() {
    let options = SocketOptions::default()
        .outbox_frames(8)
        .slow_consumer(SlowConsumer::DropNewest)
        .timeout(HOUR);
    let (endpoint, addr) = serve(options).await;
    let mut slow = connect(addr).await;
    join(&mut slow, "room:1").await;
    let blob = Blob {
        data: "x".repeat(256 * 1024),
    };
    for _ in 0..200 {
        endpoint.broadcast("room:1", &blob).await.unwrap();
        tokio::task::yield_now().await;
    }
    send(&mut slow, json!(["1", "2", "room:1", "ping", "still here"])).await;
    let mut blobs = 0;
    loop {
        let message = reply(&mut slow).await;
        if message[3] == "phx_reply" {
            break assert_eq!(message[4]["response"], "still here");
        }
        blobs += 1;
    }
    assert!((1..200).contains(&blobs), "{blobs} of 200");
    assert_eq!(endpoint.connection_count(), 1);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_with_a_code_it_reconnects_on() {
    let (endpoint, addr) = serve(SocketOptions::default().timeout(Duration::from_millis(50))).await;
    let mut client = connect(addr).await;
    let code = closed(&mut client).await;
    assert_eq!(code, Some(1002));
    settled(&endpoint, 0).await;
}

#[tokio::test]
async fn frames_and_messages_over_the_limit_are_refused() {
    let options = SocketOptions::default()
        .max_frame_size(100)
        .max_message_size(150);
    let (_endpoint, addr) = serve(options).await;
    let mut client = connect(addr).await;
    send(
        &mut client,
        json!([null, "1", "phoenix", "heartbeat", "x".repeat(200)]),
    )
    .await;
    assert_eq!(closed(&mut client).await, Some(1009));
}

/// Sends a part of a large frame, and stops.
async fn send_half(client: &mut Client, bytes: usize) {
    let mut half = vec![0x81, 0xff];
    half.extend_from_slice(&(16_u64 << 20).to_be_bytes());
    half.resize(14 + bytes, 0);
    // It may be cut off meanwhile.
    let _cut_off = client.get_mut().write_all(&half).await;
}

/// Returns the code of the first that is closed.
async fn first_closed(clients: &mut [Client]) -> Option<u16> {
    let closed = clients.iter_mut().map(|client| Box::pin(closed(client)));
    futures_util::future::select_all(closed).await.0
}

#[tokio::test]
async fn half_frames_have_a_limit_together_and_do_not_keep_out_those_that_go_on() {
    const HALF: usize = 300 * 1024;
    let endpoint = Endpoint::builder()
        .socket::<User>(SocketOptions::new("/socket").timeout(HOUR))
        .receive_bytes(1 << 20)
        .build()
        .unwrap();
    let addr = listen(&endpoint).await;
    let mut good = connect(addr).await;
    join(&mut good, "room:1").await;
    let mut stopped = Vec::new();
    for n in 0..20 {
        let mut client = connect(addr).await;
        if n % 2 == 0 {
            join(&mut client, "room:1").await;
        }
        send_half(&mut client, HALF).await;
        stopped.push(client);
    }
    // Three halves are within the limit.
    settled(&endpoint, 1 + 3).await;
    for n in 0..3 {
        let large = n.to_string().repeat(800 * 1024);
        send(&mut good, json!(["1", "2", "room:1", "ping", large])).await;
        assert_eq!(reply(&mut good).await[4]["response"], large.as_str());
    }
    settled(&endpoint, 1).await;
    assert_eq!(first_closed(&mut stopped).await, Some(1013));
}

#[tokio::test]
async fn the_fragments_of_a_message_that_is_not_whole_count_as_well() {
    let endpoint = Endpoint::builder()
        .socket::<User>(SocketOptions::new("/socket").timeout(HOUR))
        .receive_bytes(1 << 20)
        .build()
        .unwrap();
    let addr = listen(&endpoint).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = connect(addr).await;
        let mut fragment = vec![0x01, 0xff];
        fragment.extend_from_slice(&(300_u64 << 10).to_be_bytes());
        fragment.resize(14 + (300 << 10), 0);
        let _cut_off = client.get_mut().write_all(&fragment).await;
        clients.push(client);
    }
    settled(&endpoint, 3).await;
    assert_eq!(first_closed(&mut clients).await, Some(1013));
}

#[tokio::test]
async fn unreadable_frames_close_their_socket_with_a_reason() {
    let (endpoint, addr) = serve(SocketOptions::default()).await;
    for (frame, code) in [
        (Message::text("{"), 1003),
        (Message::text(""), 1003),
        (Message::binary(vec![7]), 1003),
        (Message::binary(b"\x00\x00\x00\x01\x00\xff".to_vec()), 1007),
        (
            Message::text(json!([null, null, "t".repeat(5000), "e", {}]).to_string()),
            1008,
        ),
    ] {
        let mut client = connect(addr).await;
        client.send(frame).await.unwrap();
        let Some(Ok(Message::Close(Some(close)))) = next(&mut client).await else {
            panic!("no close came");
        };
        assert_eq!(u16::from(close.code), code);
        assert!(!close.reason.is_empty());
    }
    settled(&endpoint, 0).await;
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let (endpoint, addr) = serve(SocketOptions::default()).await;
    for round in 0..10 {
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = connect(addr).await;
            join(&mut client, "room:1").await;
            clients.push(client);
        }
        assert_eq!(endpoint.subscriber_count("room:1"), 20);
        if round % 2 == 0 {
            for client in &mut clients {
                client.close(None).await.unwrap();
            }
        }
        drop(clients);
        settled(&endpoint, 0).await;
    }
    let empty = async {
        while endpoint.subscriber_count("room:1") > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, empty)
        .await
        .expect("subscriptions are left");
}

#[tokio::test]
async fn while_draining_clients_get_1012_and_newcomers_503() {
    let (endpoint, addr) = serve(SocketOptions::default()).await;
    let mut client = connect(addr).await;
    join(&mut client, "room:1").await;
    let drained = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.drain().await }
    });
    assert_eq!(closed(&mut client).await, Some(1012));
    timeout(PATIENCE, drained).await.unwrap().unwrap();
    let refused = connect_async(format!("ws://{addr}/socket/websocket?vsn=2.0.0")).await;
    match refused {
        Err(WsError::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("expected status 503, got {other:?}"),
    }
}

/// Checks, while a client is not read, that output goes on, its time does not run out, none of its
/// messages is lost, and the end of its connection is noticed.
async fn flood<I>(client: WebSocketStream<I>, endpoint: Endpoint)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    const PINGS: usize = 3_000;
    let (mut to, mut client) = client.split();
    let filler = "x".repeat(1_000);
    let (flooded, has_flooded) = tokio::sync::oneshot::channel();
    let sends = tokio::spawn(async move {
        let mut send = async |frame: Value| to.send(Message::text(frame.to_string())).await;
        for topic in ["room:1", "room:ever"] {
            send(json!(["1", "1", topic, "phx_join", {}]))
                .await
                .unwrap();
        }
        send(json!(["1", "w", "room:1", "wait", {}])).await.unwrap();
        for n in 0..PINGS {
            send(json!(["1", n.to_string(), "room:1", "ping", filler]))
                .await
                .unwrap();
        }
        send(json!(["1", "w", "room:ever", "wait", {}]))
            .await
            .unwrap();
        let _listening = flooded.send(());
        // Runs until the connection ends.
        let ping = json!(["1", "p", "room:ever", "ping", filler]);
        while send(ping.clone()).await.is_ok() {}
    });
    let mut next = async || {
        let next = timeout(PATIENCE, client.next())
            .await
            .expect("nothing came");
        match next {
            Some(Ok(Message::Text(text))) => Ok(serde_json::from_str::<Value>(&text).unwrap()),
            Some(Ok(Message::Close(frame))) => Err(frame.map(|frame| u16::from(frame.code))),
            other => panic!("expected text, got {other:?}"),
        }
    };
    for _ in 0..2 {
        assert_eq!(next().await.unwrap()[4]["status"], "ok");
    }
    WAITS.notified().await;
    let blob = Blob {
        data: "meanwhile".to_owned(),
    };
    endpoint.local_broadcast("room:1", &blob).unwrap();
    assert_eq!(next().await.unwrap()[3], "blob");
    for _ in 0..3 {
        pause();
        advance(HOUR / 2).await;
        resume();
    }
    GO.notify_one();
    let waited = next().await.unwrap();
    assert_eq!(
        (&waited[1], &waited[4]["status"]),
        (&json!("w"), &json!("ok"))
    );
    for n in 0..PINGS {
        let pong = next().await.unwrap();
        assert_eq!(
            (&pong[1], &pong[4]["status"]),
            (&json!(n.to_string()), &json!("ok"))
        );
    }
    has_flooded.await.unwrap();
    WAITS.notified().await;
    let drained = tokio::spawn(async move { endpoint.drain().await });
    assert_eq!(next().await.unwrap_err(), Some(1012));
    drop(client);
    sends.await.unwrap();
    drained.await.unwrap();
}

/// Over TCP, and over a stream of another kind, such as TLS.
#[tokio::test]
async fn a_client_that_is_not_read_loses_nothing_and_is_served_all_else() {
    let options = || {
        let options = SocketOptions::default()
            .timeout(HOUR)
            .mailbox_wait(HOUR * 10);
        options.mailbox_bytes(20_000)
    };
    let (endpoint, addr) = serve(options()).await;
    flood(connect(addr).await, endpoint).await;

    let endpoint = Endpoint::builder().socket::<User>(options().path("/socket"));
    let endpoint = endpoint.build().unwrap();
    let name = format!("channels-websocket-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listener = UnixListener::bind(&path).unwrap();
    let app = endpoint.router();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let url = "ws://localhost/socket/websocket?vsn=2.0.0";
    let client = client_async(url, stream).await.unwrap().0;
    flood(client, endpoint).await;
}

#[tokio::test]
async fn ends_are_counted_by_their_reason_and_say_no_word_of_a_decoder() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let options = SocketOptions::default().timeout(HOUR).max_frame_size(64);
    let (endpoint, addr) = serve(options).await;
    let mut malformed = connect(addr).await;
    malformed.send(Message::text("[1,")).await.unwrap();
    let Some(Ok(Message::Close(Some(close)))) = next(&mut malformed).await else {
        panic!("the connection is not closed")
    };
    let told = (u16::from(close.code), close.reason.as_str());
    assert_eq!(told, (1003, "malformed message"));
    let mut large = connect(addr).await;
    large.send(Message::text("x".repeat(65))).await.unwrap();
    assert_eq!(closed(&mut large).await, Some(1009));
    drop((malformed, large));
    settled(&endpoint, 0).await;
    let mut silent = connect(addr).await;
    settled(&endpoint, 1).await;
    pause();
    advance(HOUR * 2).await;
    resume();
    assert_eq!(closed(&mut silent).await, Some(1002));
    drop(silent);
    settled(&endpoint, 0).await;
    drop(connect(addr).await);
    settled(&endpoint, 0).await;
    let mut ended = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        if key.name() == "channel_disconnects_total" {
            let reason = key.labels().next().unwrap().value().to_owned();
            ended.push((reason, value));
        }
    }
    ended.sort_by(|one, two| one.0.cmp(&two.0));
    let expected = ["client", "timeout", "too_large", "unreadable"];
    let expected = expected.map(|reason| (reason.to_owned(), DebugValue::Counter(1)));
    assert_eq!(ended, expected);
}
