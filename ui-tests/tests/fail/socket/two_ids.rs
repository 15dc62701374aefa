//! A connection has one id.

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
    fn connect() -> Self {
        User
    }

    #[id]
    fn id(&self) -> String {
        String::new()
    }

    #[id]
    fn also(&self) -> String {
        String::new()
    }
}

fn main() {}
