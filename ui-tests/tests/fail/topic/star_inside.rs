//! A star inside of a pattern.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*:users")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
