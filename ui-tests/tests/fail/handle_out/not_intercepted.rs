//! A handler that would never run.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_out("new_msg")]
    fn deliver(&mut self) {}
}

fn main() {}
