//! The two sides: a node, and the engine's client crate as used by hand.

use std::str::FromStr;

use anyhow::{Result, bail};
use bytes::Bytes;
use channel_runtime::{
    Endpoint, Payload,
    pubsub::{ClusterOptions, Nats, Redis},
};
use futures_util::StreamExt;

/// The kind of a side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Nodes,
    Raw,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Nodes => "nodes",
            Kind::Raw => "raw",
        }
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "nodes" => Ok(Kind::Nodes),
            "raw" => Ok(Kind::Raw),
            _ => bail!("{name:?} is no side"),
        }
    }
}

/// Publishes and subscribes.
#[derive(Clone)]
pub(crate) enum Side {
    Node(Endpoint),
    Redis(redis::Client, redis::aio::MultiplexedConnection),
    Nats(async_nats::Client),
}

impl Side {
    pub(crate) async fn connect(kind: Kind, url: &str, name: &str) -> Result<Self> {
        let is_redis = url.starts_with("redis");
        let options = ClusterOptions::new().node(name);
        Ok(match (kind, is_redis) {
            (Kind::Nodes, true) => {
                let redis = Redis::connect_with(url, options).await?;
                Side::Node(Endpoint::builder().pubsub(redis).build()?)
            }
            (Kind::Nodes, false) => {
                let nats = Nats::connect_with(url, options).await?;
                Side::Node(Endpoint::builder().pubsub(nats).build()?)
            }
            (Kind::Raw, true) => {
                let client = redis::Client::open(url)?;
                let connection = client.get_multiplexed_async_connection().await?;
                Side::Redis(client, connection)
            }
            (Kind::Raw, false) => Side::Nats(async_nats::connect(url).await?),
        })
    }

    /// Waits for the engine's answer if it gives one: NATS by hand gives none.
    pub(crate) async fn publish(&self, topic: &str, body: Bytes) -> Result<()> {
        match self {
            Side::Node(endpoint) => {
                let sent = endpoint.broadcast_raw(topic, "x", Payload::binary(body));
                Ok(sent.await?)
            }
            Side::Redis(_, connection) => {
                let mut command = redis::cmd("PUBLISH");
                command.arg(topic).arg(&body[..]);
                let _receivers: i64 = command.query_async(&mut connection.clone()).await?;
                Ok(())
            }
            Side::Nats(client) => Ok(client.publish(topic.to_owned(), body).await?),
        }
    }

    /// Calls `heard` with each message from now on, in a task of its own.
    pub(crate) async fn hear(
        &self,
        topic: &str,
        mut heard: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<()> {
        match self {
            Side::Node(endpoint) => {
                let mut messages = endpoint.subscribe(topic);
                messages.confirmed().await;
                tokio::spawn(async move {
                    loop {
                        let message = messages.recv().await;
                        heard(message.payload().as_binary().map_or(&[], AsRef::as_ref));
                    }
                });
            }
            Side::Redis(client, _) => {
                let mut messages = client.get_async_pubsub().await?;
                messages.subscribe(topic).await?;
                tokio::spawn(async move {
                    let mut messages = messages.into_on_message();
                    while let Some(message) = messages.next().await {
                        heard(message.get_payload_bytes());
                    }
                });
            }
            Side::Nats(client) => {
                let mut messages = client.subscribe(topic.to_owned()).await?;
                client.flush().await?;
                tokio::spawn(async move {
                    while let Some(message) = messages.next().await {
                        heard(&message.payload);
                    }
                });
            }
        }
        Ok(())
    }
}
