#![doc = include_str!("../docs/pubsub.md")]

mod adapter;
#[cfg(any(feature = "redis", feature = "nats"))]
mod adapters;
#[cfg(any(feature = "redis", feature = "nats"))]
mod broker;
mod distributed;
mod encodings;
mod health;
mod hub;
mod namesake;
mod node_message;
mod registry;
mod telemetry;

use self::adapter::Receive;
#[cfg(feature = "nats")]
pub use self::adapters::nats::Nats;
#[cfg(feature = "redis")]
pub use self::adapters::redis::Redis;
#[cfg(any(feature = "redis", feature = "nats"))]
pub use self::broker::{ClusterConfig, ClusterOptions, Overflow};
#[cfg(any(feature = "long-poll", feature = "presence"))]
pub(crate) use self::node_message::{NodeHandler, Peer};
pub use self::{
    adapter::{Adapter, BoxFuture, EnvelopeError, LocalDelivery},
    health::{Health, Status},
};
pub(crate) use self::{
    encodings::Encodings,
    hub::{PubSub, Subscription},
    registry::{FnSubscriber, Subscriber},
};
pub use crate::error::{PublishError, StartError};
/// The id of a subscriber, to leave it out of a broadcast: see
/// [`Endpoint::broadcast_from`](crate::Endpoint::broadcast_from). Unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId(pub(crate) u64);
