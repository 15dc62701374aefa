//! A star inside a pattern.

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
