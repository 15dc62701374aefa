//! What a file with channels needs: `use channel_runtime::prelude::*;`.

pub use crate::{
    Answer, Binary, Broadcast, Bytes, Caller, ChannelRef, ConnectInfo, Endpoint, Error, Event,
    Extensions, Params, Payload, Reason, Refusal, Reply, Socket, SocketRef, Status, Stop, Topic,
    channel, socket,
};
