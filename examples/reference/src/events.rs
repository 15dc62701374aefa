//! The events that the room sends.

use channel_runtime::{EncodeError, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A chat message, sent out as it came in.
#[derive(Serialize, Deserialize, Event)]
#[event("new_msg")]
pub(crate) struct NewMsg {
    body: Value,
}

/// The greeting of a welcoming room.
#[derive(Serialize, Event)]
#[event("welcome")]
pub(crate) struct Welcome {
    pub(crate) topic: String,
}

/// An event that each client sees in its own way: all fields as they came, and the viewer.
#[derive(Serialize, Deserialize, Event)]
#[event("secret")]
pub(crate) struct Secret {
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(default)]
    pub(crate) seen_by: Option<String>,
}

/// A question of the room to a client.
#[derive(Serialize, Event)]
#[event("question")]
pub(crate) struct Question {
    pub(crate) question: Value,
}

/// A broadcast to another room.
#[derive(Serialize, Event)]
#[event("x")]
pub(crate) struct Elsewhere {}

/// Bytes to all clients.
#[derive(Event)]
#[event("bin_cast", binary)]
pub(crate) struct BinCast(pub(crate) Binary);

/// Bytes to one client.
#[derive(Event)]
#[event("pushed_bin", binary)]
pub(crate) struct PushedBin(pub(crate) Binary);

/// A payload returned to its client, JSON or binary, untouched. Its type is only known at run time,
/// so there is nothing to derive from, and this implements by hand what `Event` would derive.
pub(crate) struct Pushed(pub(crate) Payload);

impl Event for Pushed {
    const NAME: &'static str = "pushed";

    fn to_payload(&self) -> Result<Payload, EncodeError> {
        Ok(self.0.clone())
    }
}

/// Like [`Pushed`], to all clients but the sender.
pub(crate) struct FromMsg(pub(crate) Payload);

impl Event for FromMsg {
    const NAME: &'static str = "from_msg";

    fn to_payload(&self) -> Result<Payload, EncodeError> {
        Ok(self.0.clone())
    }
}

/// An event that no binary frame can carry: its name has 300 bytes, and 255 is the limit.
pub(crate) struct TooLong;

impl Event for TooLong {
    const NAME: &'static str = match str::from_utf8(&[b'e'; 300]) {
        Ok(name) => name,
        Err(_) => "",
    };

    fn to_payload(&self) -> Result<Payload, EncodeError> {
        Ok(Payload::binary(vec![1]))
    }
}
