//! A channel that is not in scope is reported once.

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

#[socket(channels = [Room, Unknown])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
