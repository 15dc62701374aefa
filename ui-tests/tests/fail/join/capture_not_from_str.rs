//! A capture of a type that cannot be read from text.

use channel_runtime::prelude::*;

pub struct RoomId;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id}")]
    fn join(id: RoomId) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
