//! A server of one socket, and requests that no library would send.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use channel_runtime::{EndpointBuilder, SocketOptions, prelude::*};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

/// The limit of every wait, each of which is for an event; only a failing test takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reports each accepted client to the test.
pub(crate) struct User;

/// The details of a client.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) info: ConnectInfo,
    pub(crate) tenant: Option<String>,
    pub(crate) user: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    tenant: Option<String>,
    user: Option<String>,
    deny: Option<String>,
}

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(
        credentials: Credentials,
        info: &ConnectInfo,
        extensions: &Extensions,
    ) -> Result<Self, Refusal> {
        match credentials.deny.as_deref() {
            None => {}
            Some("crash") => panic!("as told"),
            Some(reason) => return Err(Refusal::new(reason)),
        }
        if let Some(test) = extensions.get::<UnboundedSender<Seen>>() {
            let _over = test.send(Seen {
                info: info.clone(),
                tenant: credentials.tenant,
                user: credentials.user,
            });
        }
        Ok(User)
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

pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) addr: SocketAddr,
    seen: UnboundedReceiver<Seen>,
}

/// An answer, and its connection, which a client keeps open.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    _stream: TcpStream,
}

impl Server {
    pub(crate) async fn start(builder: EndpointBuilder) -> Self {
        let endpoint = builder.build().unwrap();
        Self::serve(endpoint.router(), endpoint).await
    }

    pub(crate) async fn with(options: SocketOptions) -> Self {
        Self::start(Endpoint::builder().socket::<User>(options.path("/socket"))).await
    }

    pub(crate) async fn serve(app: Router, endpoint: Endpoint) -> Self {
        let (sender, seen) = unbounded_channel::<Seen>();
        let app = app.layer(axum::Extension(sender));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server {
            endpoint,
            addr,
            seen,
        }
    }

    /// Asks for a WebSocket; `headers` are whole lines.
    pub(crate) async fn ask(&self, path: &str, headers: &[&[u8]]) -> Answer {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            self.addr
        );
        let mut bytes = head.into_bytes();
        for header in headers {
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes).await
    }

    /// Sends a whole request.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        // A server that answers a flood before it has read it all may hang up meanwhile.
        let _hung_up = stream.write_all(request).await;
        timeout(PATIENCE, read_answer(stream)).await.unwrap()
    }

    pub(crate) async fn status(&self, headers: &[&[u8]]) -> u16 {
        self.ask("/socket/websocket?vsn=2.0.0", headers)
            .await
            .status
    }

    /// Returns the details of the last accepted client.
    pub(crate) async fn seen(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn settled(&self, connections: usize) {
        let wait = async {
            while self.endpoint.connection_count() != connections {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, wait).await.expect("connections are left");
    }
}

/// Returns the path of the socket with a query.
pub(crate) fn query(query: &str) -> String {
    format!("/socket/websocket?{query}")
}

pub(crate) async fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut more = async |bytes: &mut Vec<u8>| {
        let read = stream.read_buf(bytes).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(bytes));
    };
    let end = loop {
        match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => more(&mut bytes).await,
        }
    };
    let head = String::from_utf8(bytes[..end].to_ascii_lowercase()).unwrap();
    let length = head.split("content-length: ").nth(1);
    let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    while bytes.len() < end + length {
        more(&mut bytes).await;
    }
    Answer {
        status: head[9..12].parse().unwrap(),
        body: String::from_utf8(bytes[end..end + length].to_vec()).unwrap(),
        head,
        _stream: stream,
    }
}
