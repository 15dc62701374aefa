//! One payload per join.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id}")]
    fn join(id: u32, enter: String, further: String) -> Self {
        let _ = (id, enter, further);
        Room
    }
}

fn main() {}
