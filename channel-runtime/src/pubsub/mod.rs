#![doc = include_str!("../docs/pubsub.md")]

mod adapter;
#[cfg(any(feature = "redis", feature = "nats"))]
mod adapters;
mod distributed;
#[cfg(any(feature = "redis", feature = "nats"))]
mod engine;
mod fastlane;
mod health;
mod hub;
mod mail;
mod registry;

use std::{fmt, sync::Arc};

use smol_str::SmolStr;

#[cfg(feature = "nats")]
pub use self::adapters::nats::Nats;
#[cfg(feature = "redis")]
pub use self::adapters::redis::Redis;
#[cfg(any(feature = "redis", feature = "nats"))]
pub use self::engine::{ClusterOptions, WhenFull};
#[cfg(feature = "longpoll")]
pub(crate) use self::mail::Mailbox;
pub use self::{
    adapter::{Adapter, BoxFuture, Inlet, PublishError, StartError},
    distributed::Garbage,
    health::{Health, Status},
};
pub(crate) use self::{
    fastlane::{Encodings, send_on},
    hub::{PubSub, Subscription},
    registry::{Relay, Subscriber},
};
use crate::{Payload, Topic};

/// Who a subscriber is, to leave it out of a broadcast: see
/// [`Endpoint::broadcast_from`](crate::Endpoint::broadcast_from). Unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId(pub(crate) u64);

/// An event on a topic, as its subscribers get it.
///
/// It has no refs, so one value serves all subscribers; cloning shares it. Mirrors
/// `Phoenix.Socket.Broadcast`.
#[derive(Clone)]
pub struct Broadcast(Arc<Inner>);

struct Inner {
    topic: Topic,
    event: SmolStr,
    payload: Payload,
}

impl Broadcast {
    /// An event on a topic.
    pub fn new(topic: impl Into<Topic>, event: impl AsRef<str>, payload: Payload) -> Self {
        let event = SmolStr::new(event);
        Broadcast(Arc::new(Inner {
            topic: topic.into(),
            event,
            payload,
        }))
    }

    /// The topic it was sent to.
    pub fn topic(&self) -> &Topic {
        &self.0.topic
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        &self.0.event
    }

    /// What it carries.
    pub fn payload(&self) -> &Payload {
        &self.0.payload
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("topic", self.topic())
            .field("event", &self.event())
            .finish_non_exhaustive()
    }
}
