//! What the room sends.

use channel_runtime::{EncodeError, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A chat message. It comes in as it goes out.
#[derive(Serialize, Deserialize, Event)]
#[event("new_msg")]
pub(crate) struct NewMsg {
    body: Value,
}

/// Greets whoever joins a welcoming room.
#[derive(Serialize, Event)]
#[event("welcome")]
pub(crate) struct Welcome {
    pub(crate) topic: String,
}

/// Something each client sees in its own way: all fields as they came, and who sees them.
#[derive(Serialize, Deserialize, Event)]
#[event("secret")]
pub(crate) struct Secret {
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(default)]
    pub(crate) seen_by: Option<String>,
}

/// What the room asks a client.
#[derive(Serialize, Event)]
#[event("question")]
pub(crate) struct Question {
    pub(crate) question: Value,
}

/// A broadcast to another room.
#[derive(Serialize, Event)]
#[event("x")]
pub(crate) struct Elsewhere {}

/// Bytes to everybody.
#[derive(Event)]
#[event("bin_cast", binary)]
pub(crate) struct BinCast(pub(crate) Binary);

/// Bytes to one client.
#[derive(Event)]
#[event("pushed_bin", binary)]
pub(crate) struct PushedBin(pub(crate) Binary);

/// A payload handed back to the client it came from, JSON or binary, untouched. A payload that
/// is known only when it comes has no type to derive from, so this says by hand what `Event`
/// would.
pub(crate) struct Pushed(pub(crate) Payload);

impl Event for Pushed {
    const NAME: &'static str = "pushed";

    fn to_payload(&self) -> Result<Payload, EncodeError> {
        Ok(self.0.clone())
    }
}

/// As [`Pushed`], to everybody but the client it came from.
pub(crate) struct FromMsg(pub(crate) Payload);

impl Event for FromMsg {
    const NAME: &'static str = "from_msg";

    fn to_payload(&self) -> Result<Payload, EncodeError> {
        Ok(self.0.clone())
    }
}

/// An event that no binary frame can carry: its name is 300 bytes long, and 255 is the most.
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
