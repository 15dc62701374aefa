//! A topic that no join takes.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", "lobby")]
impl Room {
    #[join("room:{id}")]
    fn join(id: u32) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
