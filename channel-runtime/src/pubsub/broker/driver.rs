use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

/// An engine's client crate. It only connects and transfers messages: the [`Broker`](super::Broker)
/// reconnects.
pub(crate) trait Driver: Send + Sync + 'static {
    type BrokerConnection: BrokerConnection;

    /// Returns the engine's address for messages, without credentials.
    fn address(&self) -> String;

    /// Connects once. Passes arriving messages, and the end of the link, to `incoming`.
    fn connect(
        &self,
        incoming: Incoming,
    ) -> impl Future<Output = Result<Self::BrokerConnection, DriverError>> + Send;
}

/// One connection to the engine; dropping it closes it.
pub(crate) trait BrokerConnection: Send + Sync + 'static {
    /// Publishes in this order. Completes when the engine has taken all of them, with one outcome
    /// each.
    fn publish(
        &self,
        batch: &[Outgoing],
    ) -> impl Future<Output = Result<Vec<Result<(), DriverError>>, DriverError>> + Send;

    /// Completes when the engine has confirmed: messages published from then on arrive.
    fn subscribe(
        &self,
        channels: &[Arc<str>],
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    fn unsubscribe(
        &self,
        channels: &[Arc<str>],
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Returns the size of the largest message that the engine takes, if the engine reports it.
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

/// Formats the name of an engine channel from a namespace, a kind and a key.
pub(crate) type Naming = fn(&str, &str, &str) -> Arc<str>;

/// The entry point through which a link delivers arriving messages.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(super) core: Arc<super::Core>,
    pub(super) closed: tokio::sync::watch::Sender<Option<String>>,
    /// Cancelled once the broker gives up the link.
    pub(super) over: CancellationToken,
}

impl Incoming {
    /// Delivers a message that arrived on a channel. Messages of a link that was given up are
    /// dropped: its reader may not have noticed yet, and the next link may deliver them as well.
    pub(crate) fn message(&self, channel: &str, body: Bytes) {
        if !self.over.is_cancelled() {
            self.core.received(channel, body);
        }
    }

    /// Returns a handle for one subscription, which may end before its link. The handle delivers
    /// nothing more once the guard is dropped.
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

    /// Reports that the link has ended; the first reason counts.
    pub(crate) fn closed(&self, why: impl fmt::Display) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(why.to_string());
            }
            first
        });
    }

    /// Reports that this node takes messages too slowly and has lost one.
    #[cfg(feature = "nats")]
    pub(crate) fn overrun(&self) {
        self.core
            .overruns
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        crate::pubsub::telemetry::overrun();
    }

    /// Reports a problem that does not end the link.
    #[cfg(feature = "nats")]
    pub(crate) fn trouble(&self, what: impl fmt::Display) {
        crate::pubsub::telemetry::trouble(&what);
    }
}
