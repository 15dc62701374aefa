//! The reason is given, not lent.

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
