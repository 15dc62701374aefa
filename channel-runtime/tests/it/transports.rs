//! Sockets without channels, and a transport that is not built in.

use std::time::Duration;

use axum::Router;
use channel_runtime::{
    Close, SocketOptions,
    prelude::*,
    protocol::Frame,
    transport::{Action, ConnectRequest, Connection, Control, Event, RawHandle, RawSocket},
};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, UnixListener, UnixStream, unix::OwnedWriteHalf},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{advance, pause, resume, timeout},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

const PATIENCE: Duration = Duration::from_secs(60);

/// The time that a client may be silent.
const LIMIT: Duration = Duration::from_secs(3600);

/// Answers pings and pongs, and reports its end to the test.
struct Ping {
    ended: UnboundedSender<Reason>,
}

struct Greet;

impl RawSocket for Ping {
    type Message = Greet;

    async fn connect(request: &ConnectRequest, _: &Endpoint) -> Result<Self, Refusal> {
        let ended = request.extensions.get::<UnboundedSender<Reason>>().cloned();
        let ended = ended.ok_or_else(|| Refusal::new("nobody listens"))?;
        Ok(Ping { ended })
    }

    async fn init(&mut self, socket: &RawHandle<Self>) -> Action {
        socket.send(Greet).unwrap();
        Action::Continue
    }

    async fn handle_in(&mut self, frame: Frame, socket: &RawHandle<Self>) -> Action {
        let Frame::Text(text) = frame else {
            return Action::Stop(Close {
                code: 1003,
                reason: "text only".into(),
            });
        };
        match &*text {
            "ping" => Action::Push(Frame::Text("pong".into())),
            "crash" => panic!("as told"),
            "twice" => {
                socket.push(Frame::Text("one".into()));
                Action::Push(Frame::Text("two".into()))
            }
            _ => Action::Continue,
        }
    }

    async fn handle_control(&mut self, control: Control, _: &RawHandle<Self>) -> Action {
        match control {
            Control::Ping(data) | Control::Pong(data) => Action::Push(Frame::Binary(data)),
        }
    }

    async fn handle_info(&mut self, _: Greet, _: &RawHandle<Self>) -> Action {
        Action::Push(Frame::Text("hello".into()))
    }

    async fn terminate(self, reason: Reason) {
        let _gone = self.ended.send(reason);
    }
}

async fn ping_server() -> (Endpoint, String, UnboundedReceiver<Reason>) {
    let (sender, ended) = unbounded_channel();
    let options = SocketOptions::default().timeout(LIMIT);
    let endpoint = Endpoint::builder()
        .raw_socket::<Ping>(options.path("/ping"))
        .build()
        .unwrap();
    let app: Router = endpoint.router().layer(axum::Extension(sender));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ping/websocket", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (endpoint, url, ended)
}

type Client =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn next(client: &mut Client) -> Message {
    timeout(PATIENCE, client.next())
        .await
        .expect("nothing came")
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_raw_socket_pushes_replies_and_hears_messages_and_pings() {
    let (_endpoint, url, mut ended) = ping_server().await;
    let mut client = connect_async(&url).await.unwrap().0;
    assert_eq!(next(&mut client).await, Message::text("hello"));
    client.send(Message::text("ping")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("pong"));
    client.send(Message::text("twice")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("one"));
    assert_eq!(next(&mut client).await, Message::text("two"));
    client.send(Message::Ping("data".into())).await.unwrap();
    let both = [next(&mut client).await, next(&mut client).await];
    assert!(both.contains(&Message::Pong("data".into())), "{both:?}");
    assert!(both.contains(&Message::binary("data")), "{both:?}");
    client.close(None).await.unwrap();
    assert_eq!(
        timeout(PATIENCE, ended.recv()).await.unwrap(),
        Some(Reason::Closed)
    );
}

/// Time passes at once, so that a slow machine cannot interfere.
#[tokio::test]
async fn any_sign_of_life_keeps_a_connection_and_silence_ends_it() {
    let (_endpoint, url, mut ended) = ping_server().await;
    let mut client = connect_async(&url).await.unwrap().0;
    assert_eq!(next(&mut client).await, Message::text("hello"));
    let pass = async |time| {
        pause();
        advance(time).await;
        resume();
    };
    for round in 0..3 {
        pass(LIMIT * 2 / 3).await;
        client.send(Message::text("ping")).await.unwrap();
        assert_eq!(next(&mut client).await, Message::text("pong"), "{round}");
        pass(LIMIT * 2 / 3).await;
        client.send(Message::Pong("alive".into())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::binary("alive"), "{round}");
        pass(LIMIT * 2 / 3).await;
        client.send(Message::Ping("alive".into())).await.unwrap();
        let both = [next(&mut client).await, next(&mut client).await];
        assert!(both.contains(&Message::Pong("alive".into())), "{both:?}");
    }
    pass(LIMIT).await;
    assert!(
        matches!(next(&mut client).await, Message::Close(Some(frame)) if u16::from(frame.code) == 1002)
    );
    let ended = timeout(PATIENCE, ended.recv()).await.unwrap();
    assert_eq!(ended, Some(Reason::Closed));
}

#[tokio::test]
async fn a_raw_socket_that_stops_or_panics_ends_its_own_connection() {
    let (endpoint, url, mut ended) = ping_server().await;
    let mut stopped = connect_async(&url).await.unwrap().0;
    let mut crashed = connect_async(&url).await.unwrap().0;
    let mut other = connect_async(&url).await.unwrap().0;
    for client in [&mut stopped, &mut crashed, &mut other] {
        assert_eq!(next(client).await, Message::text("hello"));
    }
    stopped.send(Message::binary("x")).await.unwrap();
    crashed.send(Message::text("crash")).await.unwrap();
    for (client, code) in [(&mut stopped, 1003), (&mut crashed, 1011)] {
        match next(client).await {
            Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), code),
            message => panic!("expected a close, got {message:?}"),
        }
    }
    assert_eq!(
        timeout(PATIENCE, ended.recv()).await.unwrap(),
        Some(Reason::Normal)
    );
    other.send(Message::text("ping")).await.unwrap();
    assert_eq!(next(&mut other).await, Message::text("pong"));
    let drained = tokio::spawn(async move { endpoint.drain().await });
    assert!(
        matches!(next(&mut other).await, Message::Close(Some(frame)) if u16::from(frame.code) == 1012)
    );
    assert_eq!(
        timeout(PATIENCE, ended.recv()).await.unwrap(),
        Some(Reason::Draining)
    );
    timeout(PATIENCE, drained).await.unwrap().unwrap();
}

struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }
}

/// A third transport: one message per line over a Unix socket, written with the public API.
async fn serve_lines(stream: UnixStream, mut connection: Connection) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => {
                    if let Err(close) = connection.receive(Frame::Text(line.into())).await {
                        return say_goodbye(&mut writer, &close).await;
                    }
                }
                _ => return,
            },
            event = connection.next() => match event {
                Event::Frame(frame) => {
                    writer.write_all(frame.bytes()).await.unwrap();
                    writer.write_all(b"\n").await.unwrap();
                }
                Event::Close(close) => return say_goodbye(&mut writer, &close).await,
            },
        }
    }
}

async fn say_goodbye(writer: &mut OwnedWriteHalf, close: &Close) {
    writer
        .write_all(format!("close {}\n", close.code).as_bytes())
        .await
        .unwrap();
}

struct LineClient {
    lines: Lines<BufReader<tokio::net::unix::OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl LineClient {
    async fn say(&mut self, line: &str) -> String {
        self.writer.write_all(line.as_bytes()).await.unwrap();
        self.writer.write_all(b"\n").await.unwrap();
        timeout(PATIENCE, self.lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    }
}

#[tokio::test]
async fn a_transport_of_ones_own_needs_only_what_is_public() {
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap();
    let path = std::env::temp_dir().join(format!("channel-lines-{}", std::process::id()));
    let _left_by_another = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let server = endpoint.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let request = ConnectRequest::new("lines", Params::from_query("vsn=2.0.0"));
            let connection = server.connect("/socket", request).await.unwrap();
            tokio::spawn(serve_lines(stream, connection));
        }
    });
    let (reader, writer) = UnixStream::connect(&path).await.unwrap().into_split();
    std::fs::remove_file(&path).unwrap();
    let mut client = LineClient {
        lines: BufReader::new(reader).lines(),
        writer,
    };

    let joined = client.say(r#"["1","1","room:a","phx_join",{}]"#).await;
    assert!(
        joined.starts_with(r#"["1","1","room:a","phx_reply",{"status":"ok""#),
        "{joined}"
    );
    let pong = client.say(r#"["1","2","room:a","ping",{"n":1}]"#).await;
    assert!(pong.contains(r#""response":{"n":1}"#), "{pong}");
    assert_eq!(endpoint.connection_count(), 1);
    assert_eq!(client.say("nonsense").await, "close 1003");
    drop(client);
    let gone = async {
        while endpoint.connection_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn what_is_not_mounted_cannot_be_connected_to() {
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap();
    let request = || ConnectRequest::new("lines", Params::from_query("vsn=2.0.0"));
    let error = endpoint.connect("/nope", request()).await.unwrap_err();
    assert_eq!(error.to_string(), "no socket is mounted at \"/nope\"");
    endpoint.drain().await;
    let error = endpoint.connect("/socket", request()).await.unwrap_err();
    assert_eq!(error.to_string(), "the server is draining");
}
