//! A broadcast has no client to reply to.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", intercept = ["new_msg"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_out("new_msg")]
    fn deliver(&mut self) -> u8 {
        0
    }
}

fn main() {}
