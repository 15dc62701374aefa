//! A caller gets the type it waits for.

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
    fn tick(&mut self, _: Tick, caller: Caller<u8>) {
        caller.reply("one");
    }
}

fn main() {}
