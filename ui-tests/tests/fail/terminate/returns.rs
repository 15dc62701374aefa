//! No caller takes a result.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[terminate]
    fn bye(self) -> u8 {
        0
    }
}

fn main() {}
