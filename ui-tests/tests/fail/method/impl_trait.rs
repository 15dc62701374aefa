//! Nothing determines the type.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info]
    fn tick(&mut self, message: impl Send) {
        let _ = message;
    }
}

fn main() {}
