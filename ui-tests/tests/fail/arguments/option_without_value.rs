//! An option needs its value.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", intercept)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
