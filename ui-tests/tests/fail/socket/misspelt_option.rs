//! A typo in an option.

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

#[socket(chanels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
