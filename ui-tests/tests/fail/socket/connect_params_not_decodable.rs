//! Parameters that cannot be decoded.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub struct Token;

pub struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(token: Token) -> Self {
        let _ = token;
        User
    }
}

fn main() {}
