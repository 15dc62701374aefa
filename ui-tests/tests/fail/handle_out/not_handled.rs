//! An event that would never reach a client.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", intercept = ["user_left"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
