//! An option given twice.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", shutdown = 1ms, shutdown = 2ms)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
