//! A caller waits for some type.

use channel_runtime::prelude::*;

pub struct Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_call]
    fn tick(&mut self, _: Tick, caller: Caller) {
        let _ = caller;
    }
}

fn main() {}
