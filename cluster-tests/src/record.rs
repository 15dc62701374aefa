//! Records what a client gets, and lets a test wait for it.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::within;

/// A message that a client got.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The topic.
    pub topic: String,
    /// The event.
    pub event: String,
    /// The ref of a reply.
    pub reference: Option<String>,
    /// The JSON, or the bytes of a binary message as an array.
    pub payload: Value,
}

/// The history of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) seen: Vec<Seen>,
    pub(crate) closed: Option<u16>,
    /// The number of sessions that a client that polls has had.
    pub(crate) sessions: usize,
}

/// The messages of a client so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<watch::Sender<Log>>);

impl Record {
    pub(crate) fn write(&self, change: impl FnOnce(&mut Log)) {
        self.0.send_modify(change);
    }

    /// Returns the messages of one event so far.
    pub fn events(&self, event: &str) -> Vec<Seen> {
        let log = self.0.borrow();
        let events = log.seen.iter().filter(|seen| seen.event == event);
        events.cloned().collect()
    }

    /// Returns the numbers of the messages `said` so far, in order of arrival.
    pub fn numbers(&self) -> Vec<u64> {
        let log = self.0.borrow();
        let said = log.seen.iter().filter(|seen| seen.event == "said");
        said.filter_map(|seen| seen.payload["n"].as_u64()).collect()
    }

    /// Returns the number of sessions that a client that polls has had.
    pub fn sessions(&self) -> usize {
        self.0.borrow().sessions
    }

    /// Waits for the message `said` with this number.
    pub async fn saw(&self, n: u64) {
        let is_it = |seen: &Seen| seen.event == "said" && seen.payload["n"] == n;
        self.wait(&format!("it sees {n}"), |log| {
            // The newest first: it is most often the one.
            log.seen.iter().rev().find(|seen| is_it(seen)).map(drop)
        })
        .await;
    }

    /// Waits for the first message of an event.
    pub async fn first(&self, event: &str) -> Seen {
        self.wait(&format!("it sees {event}"), |log| {
            log.seen.iter().find(|seen| seen.event == event).cloned()
        })
        .await
    }

    /// Waits for the reply to a message.
    pub(crate) async fn reply(&self, event: &str, reference: &str) -> Value {
        let is_reply = |seen: &&Seen| seen.reference.as_deref() == Some(reference);
        let reply = self.wait(event, |log| log.seen.iter().find(is_reply).cloned());
        reply.await.payload
    }

    /// Waits until the connection is closed, and returns the code.
    pub async fn closed(&self) -> u16 {
        self.wait("closed", |log| log.closed).await
    }

    async fn wait<T>(&self, what: &str, find: impl Fn(&Log) -> Option<T>) -> T {
        let mut log = self.0.subscribe();
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

pub(crate) fn read_text(text: &str) -> Seen {
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

/// Reads a broadcast, kind 2, or a push, kind 0.
pub(crate) fn read_binary(bytes: &[u8]) -> Seen {
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
