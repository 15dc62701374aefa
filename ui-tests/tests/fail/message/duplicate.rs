//! A message handled twice.

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
    fn first(&mut self, _: Tick) {}

    #[handle_info]
    fn second(&mut self, _: Tick) {}
}

fn main() {}
