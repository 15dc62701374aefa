//! A response that cannot be JSON.

use channel_runtime::prelude::*;

pub struct Welcome;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> (Self, Welcome) {
        (Room, Welcome)
    }
}

fn main() {}
