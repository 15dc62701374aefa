//! A client over a real WebSocket. It speaks version 2 of the protocol and records what it gets.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Mutex, task::JoinHandle};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::{
    record::{Record, read_binary, read_text},
    within,
};

type Sink = SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>;

/// A client. Its connection ends on drop.
pub struct Client {
    /// Its name.
    pub name: String,
    sink: Mutex<Sink>,
    record: Record,
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
        let record = Record::default();
        let write = record.clone();
        let reader = tokio::spawn(async move {
            let mut code = 1006;
            while let Some(Ok(message)) = messages.next().await {
                match message {
                    Message::Text(text) => {
                        let seen = read_text(&text);
                        write.write(|log| log.seen.push(seen));
                    }
                    Message::Binary(bytes) => {
                        let seen = read_binary(&bytes);
                        write.write(|log| log.seen.push(seen));
                    }
                    Message::Close(frame) => code = frame.map_or(1005, |frame| frame.code.into()),
                    _ => {}
                }
            }
            write.write(|log| log.closed = Some(code));
        });
        Client {
            name: name.to_owned(),
            sink: Mutex::new(sink),
            record,
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

    /// Joins a topic. The join_ref is always `1`.
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
        self.record.reply(event, &reference).await
    }

    /// Sends a message, and returns its ref.
    pub async fn push(&self, topic: &str, event: &str, payload: Value) -> String {
        let reference = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let frame = json!(["1", reference, topic, event, payload]).to_string();
        // A lost connection shows in the event that the test waits for.
        let _gone = self.sink.lock().await.send(Message::text(frame)).await;
        reference
    }
}

impl Deref for Client {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
