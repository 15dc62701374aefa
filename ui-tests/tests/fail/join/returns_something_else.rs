//! A join returns the channel, and nothing else.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> u8 {
        0
    }
}

fn main() {}
