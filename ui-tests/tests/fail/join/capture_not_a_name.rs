//! A capture that cannot be a parameter.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{room-id}")]
    fn join() -> Self {
        Room
    }
}

fn main() {}
