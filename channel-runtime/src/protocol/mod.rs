//! The Phoenix wire protocol: messages, and their encoding to and from frames. No I/O.

mod broadcast;
mod error;
mod event;
mod message;
mod negotiate;
mod payload;
#[cfg(test)]
mod properties;
mod refusal;
mod shared_frame;
mod term;
mod topic;
mod v1;
mod v2;
#[cfg(feature = "garde")]
mod valid;

#[cfg(any(feature = "websocket", test))]
pub(crate) use self::message::HEADER_ROOM;
#[cfg(feature = "garde")]
pub use self::valid::Valid;
pub use self::{
    broadcast::Broadcast,
    error::{DecodeError, EncodeError, MAX_NAME_BYTES, PayloadError},
    event::{Event, Intercepted, JsonEvent},
    message::{Frame, Message, Push, Reply, Serializer},
    negotiate::{Serializers, VersionRequirement, VersionRequirementError},
    payload::{Binary, FromPayload, FromPayloadItself, Payload},
    refusal::Refusal,
    term::Term,
    topic::{Topic, pattern_covers, pattern_matches},
    v1::V1,
    v2::V2,
};
use self::{
    message::ROOM,
    term::{is_plain, write_json_str},
};
pub(crate) use self::{
    message::{SharedSerializer, reserved},
    shared_frame::{Charge, SharedFrame, SharedWire},
    topic::{captures, reads_as},
};
