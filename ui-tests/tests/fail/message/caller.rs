//! No caller waits for the result.

use channel_runtime::prelude::*;

pub struct Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_cast]
    fn tick(&mut self, _: Tick, caller: Caller<u8>) {
        caller.reply(1);
    }
}

fn main() {}
