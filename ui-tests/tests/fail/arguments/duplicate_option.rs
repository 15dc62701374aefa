//! An option given twice.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", shutdown = 1, shutdown = 2)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
