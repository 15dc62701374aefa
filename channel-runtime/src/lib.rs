#![doc = include_str!("docs/crate.md")]

// The macros name this crate `::channel_runtime`, here as well.
#[allow(unused_extern_crates)]
extern crate self as channel_runtime;

pub mod attributes;
mod channel;
mod connection;
mod endpoint;
mod error;
#[cfg(feature = "force-ssl")]
pub mod force_ssl;
mod options;
mod origin;
#[cfg(feature = "presence")]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "no channel tracks presences yet")
)]
mod presence;
pub mod protocol;
pub mod pubsub;
#[cfg(feature = "reload")]
pub mod reload;
#[cfg(feature = "serve")]
pub mod serve;
mod server;
#[cfg(feature = "token")]
mod session;
mod socket;
pub mod telemetry;
#[cfg(feature = "test")]
pub mod test;
#[cfg(feature = "token")]
mod token;
pub mod transport;
#[cfg(feature = "upload")]
pub mod upload;

pub mod handler;
pub mod prelude;

/// For people who come from Phoenix: every function, option and return shape, and its
/// counterpart here.
#[doc = include_str!("docs/from_phoenix.md")]
pub mod from_phoenix {}

/// Every reason that this crate gives a client.
#[doc = include_str!("docs/reasons.md")]
pub mod reasons {}

/// The README's example must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[doc(hidden)]
pub mod __private;

pub use axum::{extract::FromRef, http::Extensions};
pub use bytes::Bytes;
pub use channel_macros::{Event, channel, socket};

#[cfg(feature = "long-poll")]
pub use self::options::LongPollOptions;
#[cfg(feature = "serve")]
pub use self::options::ServeOptions;
#[cfg(feature = "garde")]
pub use self::protocol::Valid;
pub use self::{
    channel::{
        Answer, Caller, ChannelRef, ChannelTopic, LoadShared, Loading, Proof, PushStream,
        RateLimit, Reason, Reply, Request, RequestError, Shared, Socket, SocketRef, Status, Stop,
        TimerRef, ToTopic, TypedTopic,
    },
    connection::{
        Close, ConnectInfo, ConnectInfoKey, FromParams, Params, ParamsError, SlowConsumer,
    },
    endpoint::{DrainOptions, Endpoint, EndpointSubscription},
    error::{ConfigError, Error, InternalError, TopicError},
    options::SocketOptions,
    origin::{CheckOrigin, Origin, OriginError},
    protocol::{
        Binary, Broadcast, EncodeError, Event, FromPayload, Payload, PayloadError, Refusal, Topic,
    },
    pubsub::SubscriberId,
    server::{EndpointBuilder, EndpointConfig},
    socket::RouteInfo,
    telemetry::{FilterParameters, LogLevel},
};
#[cfg(feature = "token")]
pub use self::{
    connection::Session,
    session::CookieSession,
    token::{MIN_SECRET_BYTES, SealError, Token, TokenError},
};
