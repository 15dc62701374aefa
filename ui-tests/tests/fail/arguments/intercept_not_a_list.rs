//! The events are a list.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", intercept = "new_msg")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
