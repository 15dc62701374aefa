use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

/// What an engine's client crate has to do, and all it has to do: connections end and are made
/// again by the [`Broker`](super::Broker), not here.
pub(crate) trait Driver: Send + Sync + 'static {
    type BrokerConnection: BrokerConnection;

    /// Where the engine is, for messages; without credentials.
    fn address(&self) -> String;

    /// Connects once. What arrives goes to the incoming, as does the news that the link has ended.
    fn connect(
        &self,
        incoming: Incoming,
    ) -> impl Future<Output = Result<Self::BrokerConnection, DriverError>> + Send;
}

/// One connection to the engine; dropping it closes it.
pub(crate) trait BrokerConnection: Send + Sync + 'static {
    /// Publishes in this order. Ready when the engine has taken all of them; one outcome each.
    fn publish(
        &self,
        batch: &[Outgoing],
    ) -> impl Future<Output = Result<Vec<Result<(), DriverError>>, DriverError>> + Send;

    /// Ready when the engine has confirmed: what is published from then on arrives.
    fn subscribe(
        &self,
        channels: &[Arc<str>],
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    fn unsubscribe(
        &self,
        channels: &[Arc<str>],
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// The largest message that the engine takes, where it says so.
    fn max_message(&self) -> Option<usize> {
        None
    }
}

/// A message for a channel of the engine.
pub(crate) struct Outgoing {
    pub(crate) channel: Arc<str>,
    pub(crate) body: Bytes,
}

pub(crate) type DriverError = Box<dyn std::error::Error + Send + Sync>;

/// How a channel of the engine is named: namespace, kind and key.
pub(crate) type Naming = fn(&str, &str, &str) -> Arc<str>;

/// Where a link hands in what arrives.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(super) core: Arc<super::Core>,
    pub(super) closed: tokio::sync::watch::Sender<Option<String>>,
    /// Cancelled once the link is given up.
    pub(super) over: CancellationToken,
}

impl Incoming {
    /// A message came on a channel. What comes on a link that was given up is dropped: whoever
    /// reads it may not have heard of that yet, and the next link may have brought it as well.
    pub(crate) fn message(&self, channel: &str, body: Bytes) {
        if !self.over.is_cancelled() {
            self.core.received(channel, body);
        }
    }

    /// For one subscription, which may end before its link; it takes nothing more once the guard
    /// is dropped.
    #[cfg(feature = "nats")]
    pub(crate) fn of_subscription(&self) -> (Self, tokio_util::sync::DropGuard) {
        let over = self.over.child_token();
        let guard = over.clone().drop_guard();
        let incoming = Incoming {
            over,
            ..self.clone()
        };
        (incoming, guard)
    }

    /// The link has ended; the first reason counts.
    pub(crate) fn closed(&self, why: impl fmt::Display) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(why.to_string());
            }
            first
        });
    }

    /// This node does not take messages as fast as they come, and one is lost.
    #[cfg(feature = "nats")]
    pub(crate) fn overrun(&self) {
        self.core
            .overruns
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        crate::pubsub::telemetry::overrun();
    }

    /// Something is wrong, but the link goes on.
    #[cfg(feature = "nats")]
    pub(crate) fn trouble(&self, what: impl fmt::Display) {
        crate::pubsub::telemetry::trouble(&what);
    }
}
