//! A role without arguments.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info("tick")]
    fn tick(&mut self, _: u8) {}
}

fn main() {}
