//! An error in a channel is not repeated for its socket.

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

#[channel("vip:*")]
impl Vip {
    #[handle_in("")]
    fn empty(&mut self) {}

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
