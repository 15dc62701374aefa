//! Milliseconds are a number.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", hibernate_after = "15s")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
