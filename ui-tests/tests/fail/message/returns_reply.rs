//! A server message has no client to reply to.

use channel_runtime::prelude::*;

pub struct Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info]
    fn tick(&mut self, _: Tick) -> u8 {
        0
    }
}

fn main() {}
