//! The events that a room sends to its pages.

use channel_runtime::Event;
use serde::{Deserialize, Serialize};

/// A message of a person in the room.
#[derive(Clone, Serialize, Deserialize, Event)]
#[event("new_msg")]
pub(crate) struct NewMsg {
    pub(crate) from: String,
    pub(crate) body: String,
    /// The time, in milliseconds since 1970.
    pub(crate) at: u64,
    /// True for the page that has sent it; only known on the way out.
    #[serde(default)]
    pub(crate) mine: bool,
}

/// A person is typing.
#[derive(Serialize, Deserialize, Event)]
#[event("typing")]
pub(crate) struct Typing {
    pub(crate) name: String,
}

/// A person has joined.
#[derive(Serialize, Event)]
#[event("arrived")]
pub(crate) struct Arrived {
    pub(crate) name: String,
    /// The number of people who are here now.
    pub(crate) people: usize,
}

/// A person has left.
#[derive(Serialize, Event)]
#[event("gone")]
pub(crate) struct Gone {
    pub(crate) name: String,
    /// The number of people who are still here.
    pub(crate) people: usize,
}
