//! The traits behind `#[channel]` and `#[socket]`, and the types that their methods give and take.
//!
//! The macros implement the traits and name the types. Code of an application needs them in a bound,
//! such as `C: Channel`, and for a channel or a socket that is written by hand.

pub use crate::{
    channel::{
        CallFor, CastFor, Channel, ChannelExtension, ChannelOf, ChannelOptions, Context, Gate,
        HandlerFuture, InfoFor, IntoAnswer, IntoChannelTopic, IntoGate, IntoJoin, IntoNoReply,
        IntoPush, IntoRefusal, IntoReply, Joined, NoReply, NoState, Provide, PushedBy, ReadsTopic,
        SharedPart, SocketView, WriteCapture, WritesTopic, role,
    },
    protocol::{Intercepted, JsonEvent, pattern_covers, pattern_matches},
    socket::{
        ChannelSocket, ConnectContext, IntoConnect, IntoSocketId, Route, StateFrom, Supplies,
    },
};
