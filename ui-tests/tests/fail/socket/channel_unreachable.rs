//! A channel whose topics another one takes.

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

#[channel("room:vip:*")]
impl Vip {
    #[join]
    fn join() -> Self {
        Vip
    }
}

pub struct User;

#[socket(channels = [Room, Vip])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
