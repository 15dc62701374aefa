//! Connecting returns the socket, and nothing else.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> u8 {
        0
    }
}

fn main() {}
