//! The channel's socket names no state.

use channel_runtime::prelude::*;

pub struct Db;

pub struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

pub struct Room;

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    fn join(_: &Db) -> Self {
        Room
    }
}

fn main() {}
