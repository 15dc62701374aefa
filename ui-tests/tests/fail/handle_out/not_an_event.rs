//! A type that is not an event.

use channel_runtime::prelude::*;

pub struct Other;

pub struct Room;

#[channel("room:*", intercept = ["new_msg"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_out("new_msg")]
    fn deliver(&mut self, msg: Other) {
        let _ = msg;
    }
}

fn main() {}
