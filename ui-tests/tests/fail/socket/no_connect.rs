//! A socket without a connect.

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
    #[id]
    fn id(&self) -> String {
        String::new()
    }
}

fn main() {}
