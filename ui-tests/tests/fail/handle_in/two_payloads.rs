//! A message is one value.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("copy")]
    fn copy(&mut self, from: String, to: String) {
        let _ = (from, to);
    }
}

fn main() {}
