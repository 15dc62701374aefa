//! An intercepted event has a name.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_out]
    fn deliver(&mut self) {}
}

fn main() {}
