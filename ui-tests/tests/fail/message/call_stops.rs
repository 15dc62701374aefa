//! A call returns its caller's result.

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
    fn tick(&mut self, _: Tick) -> Stop {
        Stop::normal()
    }
}

fn main() {}
