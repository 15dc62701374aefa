//! One message per handler.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info]
    fn tick(&mut self, first: u8, second: u16) {
        let _ = (first, second);
    }
}

fn main() {}
