//! The type of another event.

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event("other")]
pub struct Other {
    body: String,
}

pub struct Room;

#[channel("room:*", intercept = ["new_msg"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_out("new_msg")]
    fn deliver(&mut self, msg: Other) {
        let _ = msg.body;
    }
}

fn main() {}
