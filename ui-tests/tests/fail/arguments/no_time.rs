//! A shutdown that takes no time.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", shutdown = 0s)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
