//! A join below one that takes all its topics.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id}")]
    fn room(id: u32) -> Self {
        let _ = id;
        Room
    }

    #[join("room:lobby")]
    fn lobby() -> Self {
        Room
    }
}

fn main() {}
