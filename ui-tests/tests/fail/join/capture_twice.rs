//! A capture listed twice.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id}:{id}")]
    fn join(id: u32) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
