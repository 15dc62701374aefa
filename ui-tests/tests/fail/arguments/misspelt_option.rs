//! A typo in an option.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", intercpt = ["new_msg"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
