//! There is no message.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[terminate]
    fn bye(self, why: String) {
        drop(why);
    }
}

fn main() {}
