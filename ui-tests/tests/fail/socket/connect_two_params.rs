//! The parameters are one value.

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
    fn connect(first: Params, second: Params) -> Self {
        let _ = (first, second);
        User
    }
}

fn main() {}
