//! What a room tells its pages.

use channel_runtime::Event;
use serde::{Deserialize, Serialize};

/// Somebody said something.
#[derive(Clone, Serialize, Deserialize, Event)]
#[event("new_msg")]
pub(crate) struct NewMsg {
    pub(crate) from: String,
    pub(crate) body: String,
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
    /// Whether the page that gets this has sent it: known on the way out only.
    #[serde(default)]
    pub(crate) mine: bool,
}

/// Somebody is typing.
#[derive(Serialize, Deserialize, Event)]
#[event("typing")]
pub(crate) struct Typing {
    pub(crate) name: String,
}

/// Somebody came in.
#[derive(Serialize, Event)]
#[event("arrived")]
pub(crate) struct Arrived {
    pub(crate) name: String,
    /// How many are here now.
    pub(crate) people: usize,
}

/// Somebody went away.
#[derive(Serialize, Event)]
#[event("gone")]
pub(crate) struct Gone {
    pub(crate) name: String,
    /// How many are still here.
    pub(crate) people: usize,
}
