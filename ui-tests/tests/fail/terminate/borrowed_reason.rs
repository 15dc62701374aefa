//! The reason is taken by value, not borrowed.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[terminate]
    fn bye(self, reason: &Reason) {
        let _ = reason;
    }
}

fn main() {}
