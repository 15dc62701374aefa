//! A type that is not a channel.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub struct Vip;

pub struct User;

#[socket(channels = [Room, Vip])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
