//! A client that polls like the official one: it sends the token of each answer with the next
//! request, and reopens a session that is gone. Every request has a connection of its own.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{Mutex, watch},
    task::JoinHandle,
    time::sleep,
};

use crate::{
    record::{Record, read_text},
    within,
};

/// The pause after a request that failed.
const AGAIN: Duration = Duration::from_millis(50);

/// A client. It stops polling on drop.
pub struct Poller {
    /// Its name.
    pub name: String,
    wire: Arc<Wire>,
    record: Record,
    next: AtomicU64,
    /// Lets one request publish at a time, so that messages arrive in order.
    publishing: Mutex<()>,
    poll: JoinHandle<()>,
}

/// The connection to the nodes.
struct Wire {
    path: String,
    /// The nodes in turn: each request goes to the next one.
    addresses: Vec<SocketAddr>,
    turn: AtomicUsize,
    token: watch::Sender<Option<String>>,
}

impl Poller {
    /// Opens a session on the first of these nodes, and joins a topic. The next request goes to the
    /// next node, and so on.
    pub async fn joined(addresses: &[SocketAddr], name: &str, topic: &str) -> Self {
        let wire = Arc::new(Wire {
            path: format!("/socket/longpoll?vsn=2.0.0&name={}", name.replace(' ', "+")),
            addresses: addresses.to_vec(),
            turn: AtomicUsize::new(0),
            token: watch::Sender::new(None),
        });
        let record = Record::default();
        let poll = tokio::spawn(poll(wire.clone(), record.clone(), topic.to_owned()));
        let client = Poller {
            name: name.to_owned(),
            wire,
            record,
            next: AtomicU64::new(1),
            publishing: Mutex::new(()),
            poll,
        };
        let joined = client.record.reply("phx_join", "join").await;
        assert_eq!(joined["status"], "ok", "{joined}");
        client
    }

    /// Sends a message and waits for its answer.
    pub async fn ask(&self, topic: &str, event: &str, payload: Value) -> Value {
        let reference = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let frame = json!(["1", reference, topic, event, payload]).to_string();
        let _turn = self.publishing.lock().await;
        let status = within("publish", self.wire.post(frame)).await;
        assert_eq!(status.unwrap(), 200, "{event}");
        self.record.reply(event, &reference).await
    }

    /// Sends a message, and returns the status of the request.
    ///
    /// # Errors
    ///
    /// Returns the error of its connection if there was no answer.
    pub async fn try_push(&self, topic: &str, event: &str, payload: Value) -> anyhow::Result<u64> {
        let reference = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let frame = json!(["1", reference, topic, event, payload]).to_string();
        let _turn = self.publishing.lock().await;
        self.wire.post(frame).await
    }
}

impl Deref for Poller {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

/// Polls for ever, and joins once in each session.
async fn poll(wire: Arc<Wire>, record: Record, topic: String) {
    loop {
        let Ok(answer) = wire.send("GET", Bytes::new()).await else {
            sleep(AGAIN).await;
            continue;
        };
        if let Some(token) = answer["token"].as_str() {
            wire.token.send_replace(Some(token.to_owned()));
        }
        match answer["status"].as_u64() {
            Some(200) => record.write(|log| {
                let messages = answer["messages"].as_array().into_iter().flatten();
                let seen = messages.map(|text| read_text(text.as_str().unwrap()));
                log.seen.extend(seen);
            }),
            Some(204) => {}
            Some(410) => {
                let wire = wire.clone();
                let join = json!(["1", "join", topic, "phx_join", {}]).to_string();
                // The next poll fetches the answer to the join. A dead node is out of reach and has
                // not joined, so the next one is asked.
                tokio::spawn(async move { while wire.post(join.clone()).await.is_err() {} });
                record.write(|log| log.sessions += 1);
            }
            _ => sleep(AGAIN).await,
        }
    }
}

impl Wire {
    async fn post(&self, frame: String) -> anyhow::Result<u64> {
        // There is a token once the session is open.
        self.token.subscribe().wait_for(Option::is_some).await?;
        let answer = self.send("POST", frame.into()).await?;
        answer["status"].as_u64().context("no status")
    }

    /// Returns the answer of the next node.
    async fn send(&self, method: &str, body: Bytes) -> anyhow::Result<Value> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let address = self.addresses[turn % self.addresses.len()];
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(&self.path)
            .header("host", address.to_string());
        if let Some(token) = &*self.token.borrow() {
            request = request.header("x-phoenix-longpoll-token", token);
        }
        let answer = sender.send_request(request.body(Full::new(body))?).await?;
        let bytes = answer.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok(serde_json::from_slice(&bytes)?)
    }
}
