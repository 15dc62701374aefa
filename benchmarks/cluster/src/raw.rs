//! The engines' client crates, used as one would by hand.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{sync::mpsc, task::JoinSet};

/// One engine's client.
pub(crate) enum Raw {
    Redis(redis::Client, redis::aio::MultiplexedConnection),
    Nats(String, async_nats::Client),
}

/// Publishes on one channel.
#[derive(Clone)]
pub(crate) enum Sender {
    Redis(redis::aio::MultiplexedConnection, &'static str),
    Nats(async_nats::Client, &'static str),
}

impl Raw {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        Ok(if url.starts_with("redis") {
            let client = redis::Client::open(url)?;
            let connection = client.get_multiplexed_async_connection().await?;
            Raw::Redis(client, connection)
        } else {
            Raw::Nats(url.to_owned(), async_nats::connect(url).await?)
        })
    }

    fn to(&self, channel: &'static str) -> Sender {
        match self {
            Raw::Redis(_, connection) => Sender::Redis(connection.clone(), channel),
            Raw::Nats(_, client) => Sender::Nats(client.clone(), channel),
        }
    }

    pub(crate) fn sender(&self) -> Sender {
        self.to("raw-load")
    }

    pub(crate) fn sender_to_latency(&self) -> Sender {
        self.to("raw-latency")
    }

    /// Two receivers, each with a connection of its own.
    pub(crate) async fn receivers(&self) -> Result<[mpsc::Receiver<()>; 2]> {
        let one = self.each("raw-latency").await?;
        Ok([one, self.each("raw-latency").await?])
    }

    /// Two receivers that count.
    pub(crate) async fn count(&self, count: Arc<AtomicU64>) -> Result<JoinSet<()>> {
        let mut receivers = JoinSet::new();
        for _ in 0..2 {
            let (mut messages, count) = (self.each("raw-load").await?, count.clone());
            receivers.spawn(async move {
                while messages.recv().await.is_some() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(receivers)
    }

    async fn each(&self, channel: &'static str) -> Result<mpsc::Receiver<()>> {
        let (sender, receiver) = mpsc::channel(1024);
        match self {
            Raw::Redis(client, _) => {
                let mut pubsub = client.get_async_pubsub().await?;
                pubsub.subscribe(channel).await?;
                tokio::spawn(async move {
                    let mut messages = pubsub.into_on_message();
                    while messages.next().await.is_some() {
                        if sender.send(()).await.is_err() {
                            break;
                        }
                    }
                });
            }
            Raw::Nats(url, _) => {
                let client = async_nats::connect(url).await?;
                let mut messages = client.subscribe(channel).await?;
                client.flush().await?;
                tokio::spawn(async move {
                    let _client = client;
                    while messages.next().await.is_some() {
                        if sender.send(()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        }
        Ok(receiver)
    }
}

impl Sender {
    /// Waits for the engine's answer where it gives one: NATS gives none.
    pub(crate) async fn publish(&self, body: Bytes) -> Result<()> {
        match self {
            Sender::Redis(connection, channel) => {
                let mut command = redis::cmd("PUBLISH");
                command.arg(*channel).arg(&body[..]);
                let _receivers: i64 = command.query_async(&mut connection.clone()).await?;
            }
            Sender::Nats(client, channel) => client.publish(*channel, body).await?,
        }
        Ok(())
    }
}
