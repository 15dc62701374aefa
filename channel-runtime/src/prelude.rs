//! What a file with channels needs: `use channel_runtime::prelude::*;`.

pub use axum::http::Extensions;
pub use bytes::Bytes;
pub use channel_macros::{Event, channel, socket};

pub use crate::{
    channel::{Answer, Caller, ChannelRef, Reason, Reply, Socket, SocketRef, Status, Stop},
    connection::{ConnectInfo, Params},
    endpoint::Endpoint,
    error::Error,
    protocol::{Binary, Broadcast, Event, Payload, Refusal, Topic},
};
