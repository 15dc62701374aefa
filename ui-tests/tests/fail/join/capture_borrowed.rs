//! A capture is taken by value, not borrowed.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id}")]
    fn join(id: &str) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
