//! A log level that does not exist.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", log_join = inof)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
