//! A capture in a channel's pattern.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:{id}")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
