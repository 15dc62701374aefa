//! A role of a socket in a channel.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[connect]
    fn connect() -> Self {
        Room
    }
}

fn main() {}
