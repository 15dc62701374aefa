//! A join for topics of another channel.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("chat:{id}")]
    fn join(id: u32) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
