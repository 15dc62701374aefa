//! The channels are named.

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

#[socket("room:*", channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
