//! A capture is taken by its name.

use channel_runtime::prelude::*;

pub struct RoomId(u32);

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id}")]
    fn join(RoomId(id): RoomId, enter: String) -> Self {
        let _ = (id, enter);
        Room
    }
}

fn main() {}
