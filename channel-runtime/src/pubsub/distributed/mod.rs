//! The half of PubSub that knows of other nodes, whatever carries the messages.

mod envelope;
mod interests;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

pub use self::envelope::Garbage;
#[cfg(feature = "longpoll")]
use self::envelope::encode_mail;
use self::{
    envelope::{Message, Origin, decode, encode, is_from},
    interests::Interests,
};
#[cfg(feature = "longpoll")]
use super::mail::{Mail, Mailbox};
use super::{
    Adapter, Health, Inlet, PublishError, StartError, mail::Mailboxes, registry::Registry,
};
use crate::{
    protocol::{Broadcast, Topic},
    pubsub::telemetry as cluster,
};

/// This node among others.
pub(super) struct Distributed {
    adapter: Box<dyn Adapter>,
    origin: Origin,
    interests: Interests,
    counts: Arc<Counts>,
    #[cfg(feature = "longpoll")]
    mailboxes: Arc<Mailboxes>,
}

/// What was sent and received.
#[derive(Default)]
struct Counts {
    published: AtomicU64,
    lost: AtomicU64,
    received: AtomicU64,
    garbage: AtomicU64,
}

impl Distributed {
    /// Starts the adapter.
    pub(super) fn start(
        adapter: Box<dyn Adapter>,
        local: &Arc<Registry>,
    ) -> Result<Self, StartError> {
        let (origin, counts) = (Origin::random(), Arc::new(Counts::default()));
        let mailboxes = Arc::new(Mailboxes::default());
        adapter.start(Inlet::new(Arc::new(Receiver {
            origin,
            local: Arc::downgrade(local),
            counts: counts.clone(),
            mailboxes: mailboxes.clone(),
        })))?;
        Ok(Distributed {
            adapter,
            origin,
            interests: Interests::default(),
            counts,
            #[cfg(feature = "longpoll")]
            mailboxes,
        })
    }

    pub(super) fn node(&self) -> &str {
        self.adapter.node()
    }

    /// Sends to the other nodes. What this returns is the news; the message goes all the same.
    pub(super) fn broadcast(
        &self,
        broadcast: &Broadcast,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let message = encode(self.origin, broadcast);
        let sent = self.adapter.broadcast(broadcast.topic(), message);
        self.counted(sent)
    }

    /// Sends to one other node.
    pub(super) fn direct_broadcast(
        &self,
        node: &str,
        broadcast: &Broadcast,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let message = encode(self.origin, broadcast);
        let sent = self.adapter.direct_broadcast(node, message);
        self.counted(sent)
    }

    /// Writes to a mailbox of one other node. No broadcast, so not counted as one.
    #[cfg(feature = "longpoll")]
    pub(super) fn mail(
        &self,
        node: &str,
        mailbox: &str,
        letter: Bytes,
    ) -> super::BoxFuture<'static, Result<(), PublishError>> {
        let mail = Mail {
            from: self.node().to_owned(),
            mailbox: mailbox.to_owned(),
            letter,
        };
        let message = encode_mail(self.origin, &mail);
        self.adapter.direct_broadcast(node, message)
    }

    #[cfg(feature = "longpoll")]
    pub(super) fn open_mailbox(&self, name: &str, mailbox: Arc<dyn Mailbox>) {
        self.mailboxes.open(name, mailbox);
    }

    fn counted(
        &self,
        sent: super::BoxFuture<'static, Result<(), PublishError>>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let counts = self.counts.clone();
        async move {
            let outcome = sent.await;
            match &outcome {
                Ok(()) => counts.published.fetch_add(1, Ordering::Relaxed),
                Err(_) => counts.lost.fetch_add(1, Ordering::Relaxed),
            };
            cluster::published(outcome.as_ref().err());
            outcome
        }
    }

    /// One more subscriber here.
    pub(super) fn acquire(&self, topic: &Topic) {
        self.interests.acquire(topic, &*self.adapter);
    }

    /// One subscriber less.
    pub(super) fn release(&self, topic: &Topic) {
        self.interests.release(topic, &*self.adapter);
    }

    /// Waits until broadcasts of other nodes are sure to arrive, if that is still open.
    pub(super) async fn confirmed(&self, topic: &Topic) {
        if let Some(confirmed) = self.adapter.confirmed(topic) {
            confirmed.await;
        }
    }

    pub(super) fn health(&self) -> Health {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let adapter = self.adapter.health();
        Health {
            topics: self.interests.topics(),
            published: count(&self.counts.published),
            lost: count(&self.counts.lost) + adapter.lost,
            received: count(&self.counts.received),
            garbage: count(&self.counts.garbage),
            ..adapter
        }
    }
}

/// Takes what an adapter hands in.
pub(super) trait Receive: Send + Sync {
    fn receive(&self, message: Bytes) -> Result<(), Garbage>;
}

struct Receiver {
    origin: Origin,
    local: Weak<Registry>,
    counts: Arc<Counts>,
    mailboxes: Arc<Mailboxes>,
}

impl Receive for Receiver {
    fn receive(&self, message: Bytes) -> Result<(), Garbage> {
        if is_from(self.origin, &message) {
            // This node's subscribers had it before it left.
            return Ok(());
        }
        let message = decode(message).inspect_err(|garbage| {
            let count = self.counts.garbage.fetch_add(1, Ordering::Relaxed) + 1;
            cluster::garbage(garbage, count);
        })?;
        let broadcast = match message {
            Message::Broadcast(broadcast) => broadcast,
            Message::Mail(mail) => {
                self.mailboxes.receive(mail);
                return Ok(());
            }
        };
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        cluster::received();
        if let Some(local) = self.local.upgrade() {
            local.deliver(None, &broadcast);
        }
        Ok(())
    }
}
