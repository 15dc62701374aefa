//! There is no socket before connecting.

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
    fn connect(&self) -> Self {
        User
    }
}

fn main() {}
