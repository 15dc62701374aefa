//! An option that does not exist.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", timeout = 5)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
