//! A capture and a parameter of another name.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id}")]
    fn join(room: u32) -> Self {
        let _ = room;
        Room
    }
}

fn main() {}
