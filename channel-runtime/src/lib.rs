#![doc = include_str!("docs/crate.md")]

// The macros name this crate `::channel_runtime`, here as well.
#[allow(unused_extern_crates)]
extern crate self as channel_runtime;

pub mod attributes;
mod channel;
mod const_check;
mod endpoint;
mod error;
mod event;
#[cfg(feature = "force-ssl")]
pub mod force_ssl;
mod payload;
pub mod pubsub;
#[cfg(feature = "reload")]
pub mod reload;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "token")]
mod session;
mod socket;
pub mod telemetry;
#[cfg(feature = "test")]
pub mod test;
#[cfg(feature = "token")]
mod token;
mod topic;
pub mod transport;
#[cfg(feature = "uploads")]
pub mod upload;
pub mod wire;

pub mod prelude;

/// For people who come from Phoenix: every function, option and return shape, and its
/// counterpart here.
#[doc = include_str!("docs/from_phoenix.md")]
pub mod from_phoenix {}

/// The README's example must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[doc(hidden)]
pub mod __private;

pub use axum::http::Extensions;
pub use bytes::Bytes;
pub use channel_macros::{Event, channel, socket};

#[cfg(feature = "token")]
pub use self::session::{CookieSession, Session};
#[cfg(feature = "token")]
pub use self::token::{MIN_SECRET_BYTES, Token, TokenError};
#[cfg(feature = "longpoll")]
pub use self::transport::LongPollOptions;
pub use self::{
    channel::{
        Answer, CallFor, Caller, CastFor, Channel, ChannelOf, ChannelOptions, ChannelRef, Context,
        Flow, InfoFor, IntoAnswer, IntoFlow, IntoJoin, IntoReply, Joined, Lend, LogLevel, PushedBy,
        Reason, Reply, Socket, SocketRef, Status, Step, Stop, TimerRef, role,
    },
    endpoint::{
        DrainOptions, Endpoint, EndpointBuilder, EndpointConfig, EndpointSubscription, RouteInfo,
        SerializerName, SocketConfig, SocketOptions,
    },
    error::{ConfigError, Error, PayloadError, Refusal},
    event::{Event, Intercepted},
    payload::{Binary, FromPayload, Payload},
    pubsub::{Broadcast, SubscriberId},
    socket::{
        ChannelSocket, Close, ConnectContext, ConnectInfo, ConnectInfoKey, FromParams, IntoConnect,
        IntoSocketId, Params, ParamsError, Route, SlowConsumer,
    },
    telemetry::FilterParameters,
    topic::{Topic, pattern_covers, pattern_matches},
    transport::{CheckOrigin, Origin},
};
