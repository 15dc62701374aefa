//! A channel that names another socket.

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

#[channel("vip:*", socket = Admin)]
impl Vip {
    #[join]
    fn join() -> Self {
        Vip
    }
}

pub struct Admin;

#[socket(channels = [Vip])]
impl Admin {
    #[connect]
    fn connect() -> Self {
        Admin
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
