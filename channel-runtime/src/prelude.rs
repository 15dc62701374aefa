//! The items that a file with channels needs: `use channel_runtime::prelude::*;`.

pub use axum::http::Extensions;
pub use bytes::Bytes;
pub use channel_macros::{Event, channel, socket};

pub use crate::{
    attributes::{
        allow_upload, before_handle_in, before_join, connect, handle_call, handle_cast, handle_in,
        handle_info, handle_out, handle_progress, handle_upload, join, terminate, validate_upload,
    },
    channel::{
        Answer, Caller, ChannelRef, Proof, PushStream, Reason, Reply, RequestError, Shared, Socket,
        SocketRef, Status, Stop, TypedTopic,
    },
    connection::{ConnectInfo, Params},
    endpoint::Endpoint,
    error::{Error, InternalError},
    protocol::{Binary, Broadcast, Event, Payload, Refusal, Topic},
};

#[cfg(feature = "garde")]
pub use crate::protocol::Valid;
