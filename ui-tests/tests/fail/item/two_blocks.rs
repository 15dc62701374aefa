//! A type is one channel.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

#[channel("chat:*")]
impl Room {
    #[join]
    fn enter() -> Self {
        Room
    }
}

fn main() {}
