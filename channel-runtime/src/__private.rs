//! Functions that generated code calls. Not part of the public interface.

use std::{fmt::Display, str::FromStr};

pub use crate::socket::{check_event, check_intercepted, check_owned, check_route};
pub use crate::{
    channel::{
        Answer, CallFor, Caller, CastFor, Channel, ChannelOptions, Context, FromMessage,
        FromPayloadElsewhere, FromReason, Gate, Given, HandlerFuture, InfoFor, IntoAnswer,
        IntoAnswerLater, IntoAnswerWhen, IntoGate, IntoJoin, IntoNoReply, Joined, NoReply, NoState,
        OwnedCaller, Proof, Proven, Provide, ProvideBeforeJoin, ProvideElsewhere, ProvideGiven,
        ProvideToConnect, PushedBy, RateLimit, ReadsTopic, Reason, Shared, Socket, SocketRef,
        SocketView, Supply, When, WriteCapture, WritesTopic, role, same_kind,
    },
    connection::{FromParams, Params},
    endpoint::Endpoint,
    error::Error,
    protocol::{
        Binary, Broadcast, EncodeError, Event, FromPayload, FromPayloadItself, Intercepted,
        JsonEvent, Payload, PayloadError, Refusal, pattern_covers, pattern_matches,
    },
    socket::{ChannelSocket, ConnectContext, IntoConnect, IntoSocketId, Route},
    telemetry::LogLevel,
};
pub use core::{
    option::Option::{self, None, Some},
    primitive::{str, usize},
    result::Result::{self, Err, Ok},
};
pub use std::{boxed::Box, string::String, vec, vec::Vec};

pub use bytes::Bytes;
pub use serde::Serialize;
pub use tracing::Level;

/// Splits a topic at the literals of a join pattern.
pub fn captures<'t, const N: usize>(literals: &[&str], topic: &'t str) -> Option<[&'t str; N]> {
    crate::protocol::captures(literals, topic)
}

/// A type that a capture of a topic can be read into.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a topic",
    label = "not a capture",
    note = "implement `std::str::FromStr` for it, with an error that can be displayed"
)]
pub trait Capture: Sized {
    /// Reads it; what does not fit refuses the join.
    fn read(text: &str, name: &'static str) -> Result<Self, Refusal>;
}

#[diagnostic::do_not_recommend]
impl<T: FromStr> Capture for T
where
    T::Err: Display,
{
    fn read(text: &str, name: &'static str) -> Result<Self, Refusal> {
        text.parse().map_err(|error: T::Err| {
            // Its words are the type's, not for clients.
            tracing::debug!(parameter = name, error = %crate::telemetry::shown(&error), "a part of a topic does not fit");
            Refusal::new("invalid topic").with("parameter", name)
        })
    }
}

/// A type that can be a JSON event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as JSON",
    label = "not serializable",
    note = "derive `serde::Serialize` for it, or send bytes: `#[event(\"…\", binary)]`"
)]
pub trait Json {
    /// The payload.
    fn payload(&self) -> Result<Payload, EncodeError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Json for T {
    fn payload(&self) -> Result<Payload, EncodeError> {
        Payload::json(self)
    }
}

/// A type that can be the field of a binary event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the bytes of a binary event",
    label = "not bytes",
    note = "use `Bytes`, `Binary` or `Vec<u8>`"
)]
pub trait EventBytes: Sized {
    /// The payload.
    fn to_payload(&self) -> Payload;

    /// The bytes of a payload.
    fn from_payload(payload: Payload) -> Result<Self, PayloadError>;
}

impl EventBytes for Bytes {
    fn to_payload(&self) -> Payload {
        Payload::binary(self.clone())
    }

    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        <Binary as FromPayload>::from_payload(payload).map(|binary| binary.0)
    }
}

impl EventBytes for Binary {
    fn to_payload(&self) -> Payload {
        Payload::binary(self.0.clone())
    }

    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        FromPayload::from_payload(payload)
    }
}

impl EventBytes for Vec<u8> {
    fn to_payload(&self) -> Payload {
        Payload::binary(self.clone())
    }

    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        <Binary as FromPayload>::from_payload(payload).map(|binary| binary.0.into())
    }
}
