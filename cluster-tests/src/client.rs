//! A client over a real WebSocket, that speaks version 2 of the protocol and keeps what it sees.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{Mutex, watch},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::within;

type Sink = SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>;

/// What a client has got.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The topic.
    pub topic: String,
    /// The event.
    pub event: String,
    /// The ref of a reply.
    pub reference: Option<String>,
    /// JSON, or the bytes of a binary message as an array.
    pub payload: Value,
}

/// All that has happened to a client.
#[derive(Clone, Debug, Default)]
struct Log {
    seen: Vec<Seen>,
    closed: Option<u16>,
}

/// A client; its connection ends when it is dropped.
pub struct Client {
    /// Its name.
    pub name: String,
    sink: Mutex<Sink>,
    log: Arc<watch::Sender<Log>>,
    next: AtomicU64,
    reader: JoinHandle<()>,
}

impl Client {
    /// Connects to a node.
    pub async fn connect(address: SocketAddr, name: &str) -> Self {
        let url = format!(
            "ws://{address}/socket/websocket?vsn=2.0.0&name={}",
            name.replace(' ', "+")
        );
        let limits = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let connect = connect_async_with_config(url, Some(limits), false);
        let (stream, _) = within("connect", connect).await.unwrap();
        let (sink, mut messages) = stream.split();
        let log = Arc::new(watch::Sender::new(Log::default()));
        let write = log.clone();
        let reader = tokio::spawn(async move {
            let mut code = 1006;
            while let Some(Ok(message)) = messages.next().await {
                match message {
                    Message::Text(text) => {
                        let seen = read_text(&text);
                        write.send_modify(|log| log.seen.push(seen));
                    }
                    Message::Binary(bytes) => {
                        let seen = read_binary(&bytes);
                        write.send_modify(|log| log.seen.push(seen));
                    }
                    Message::Close(frame) => code = frame.map_or(1005, |frame| frame.code.into()),
                    _ => {}
                }
            }
            write.send_modify(|log| log.closed = Some(code));
        });
        Client {
            name: name.to_owned(),
            sink: Mutex::new(sink),
            log,
            next: AtomicU64::new(1),
            reader,
        }
    }

    /// Connects and joins.
    pub async fn joined(address: SocketAddr, name: &str, topic: &str) -> Self {
        let client = Client::connect(address, name).await;
        client.join(topic).await;
        client
    }

    /// Joins a topic; the join_ref of a topic is always `topic`'s own, `1`.
    pub async fn join(&self, topic: &str) {
        let reply = self.ask(topic, "phx_join", json!({})).await;
        assert_eq!(reply["status"], "ok", "{reply}");
    }

    /// Leaves a topic.
    pub async fn leave(&self, topic: &str) {
        self.ask(topic, "phx_leave", json!({})).await;
    }

    /// Sends a message and waits for its answer.
    pub async fn ask(&self, topic: &str, event: &str, payload: Value) -> Value {
        let reference = self.push(topic, event, payload).await;
        let is_reply = |seen: &&Seen| seen.reference.as_deref() == Some(&reference);
        let reply = self.wait(event, |log| log.seen.iter().find(is_reply).cloned());
        reply.await.payload
    }

    /// Sends a message; its ref.
    pub async fn push(&self, topic: &str, event: &str, payload: Value) -> String {
        let reference = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let frame = json!(["1", reference, topic, event, payload]).to_string();
        // A connection that is gone shows in what the test waits for.
        let _gone = self.sink.lock().await.send(Message::text(frame)).await;
        reference
    }

    /// What has come of one event so far.
    pub fn events(&self, event: &str) -> Vec<Seen> {
        let log = self.log.borrow();
        let events = log.seen.iter().filter(|seen| seen.event == event);
        events.cloned().collect()
    }

    /// The numbers of the messages `said` so far, in the order in which they came.
    pub fn numbers(&self) -> Vec<u64> {
        let log = self.log.borrow();
        let said = log.seen.iter().filter(|seen| seen.event == "said");
        said.filter_map(|seen| seen.payload["n"].as_u64()).collect()
    }

    /// Waits for the message `said` with this number.
    pub async fn saw(&self, n: u64) {
        let is_it = |seen: &Seen| seen.event == "said" && seen.payload["n"] == n;
        let what = format!("{} sees {n}", self.name);
        self.wait(&what, |log| {
            // The newest first: it is most often the one.
            log.seen.iter().rev().find(|seen| is_it(seen)).map(drop)
        })
        .await;
    }

    /// Waits for the first message of an event.
    pub async fn first(&self, event: &str) -> Seen {
        let what = format!("{} sees {event}", self.name);
        self.wait(&what, |log| {
            log.seen.iter().find(|seen| seen.event == event).cloned()
        })
        .await
    }

    /// Waits until the connection is closed, and says with which code.
    pub async fn closed(&self) -> u16 {
        self.wait("closed", |log| log.closed).await
    }

    async fn wait<T>(&self, what: &str, find: impl Fn(&Log) -> Option<T>) -> T {
        let mut log = self.log.subscribe();
        within(what, async {
            loop {
                if let Some(found) = find(&log.borrow_and_update()) {
                    return found;
                }
                log.changed().await.unwrap();
            }
        })
        .await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn read_text(text: &str) -> Seen {
    let mut frame: Vec<Value> = serde_json::from_str(text).expect("frames are JSON");
    let payload = frame.pop().unwrap();
    let text = |at: usize| frame[at].as_str().map(str::to_owned);
    Seen {
        topic: text(2).unwrap(),
        event: text(3).unwrap(),
        reference: text(1),
        payload,
    }
}

/// A broadcast, kind 2, or a push, kind 0.
fn read_binary(bytes: &[u8]) -> Seen {
    let len = |at: usize| usize::from(bytes[at]);
    let (head, topic, event) = match bytes[0] {
        0 => (4 + len(1), len(2), len(3)),
        2 => (3, len(1), len(2)),
        kind => panic!("a binary frame of the kind {kind}"),
    };
    let text = |from: usize, len: usize| String::from_utf8(bytes[from..from + len].to_vec());
    Seen {
        topic: text(head, topic).unwrap(),
        event: text(head + topic, event).unwrap(),
        reference: None,
        payload: json!(bytes[head + topic + event..]),
    }
}
