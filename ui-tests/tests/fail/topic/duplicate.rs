//! A pattern listed twice.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", "room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
