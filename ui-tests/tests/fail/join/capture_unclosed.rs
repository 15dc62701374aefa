//! A capture that is not closed.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id")]
    fn join() -> Self {
        Room
    }
}

fn main() {}
