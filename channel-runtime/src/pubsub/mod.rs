#![doc = include_str!("../docs/pubsub.md")]

mod adapter;
#[cfg(any(feature = "redis", feature = "nats"))]
mod adapters;
mod distributed;
mod encodings;
#[cfg(any(feature = "redis", feature = "nats"))]
mod engine;
mod health;
mod hub;
mod mail;
mod namesake;
mod registry;
mod telemetry;

use self::adapter::Receive;
#[cfg(feature = "nats")]
pub use self::adapters::nats::Nats;
#[cfg(feature = "redis")]
pub use self::adapters::redis::Redis;
#[cfg(any(feature = "redis", feature = "nats"))]
pub use self::engine::{ClusterConfig, ClusterOptions, WhenFull};
#[cfg(feature = "longpoll")]
pub(crate) use self::mail::{Mailbox, Peer};
pub use self::{
    adapter::{Adapter, BoxFuture, Garbage, Inlet},
    health::{Health, Status},
};
pub(crate) use self::{
    encodings::Encodings,
    hub::{PubSub, Subscription},
    registry::{Relay, Subscriber},
};
pub use crate::error::{PublishError, StartError};
/// Who a subscriber is, to leave it out of a broadcast: see
/// [`Endpoint::broadcast_from`](crate::Endpoint::broadcast_from). Unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId(pub(crate) u64);
