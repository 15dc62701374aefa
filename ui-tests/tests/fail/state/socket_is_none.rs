//! A channel names a type that is not a socket.

use channel_runtime::prelude::*;

pub struct Db;

pub struct Room;

#[channel("room:*", socket = Db)]
impl Room {
    #[join]
    fn join(_: &Db) -> Self {
        Room
    }
}

fn main() {}
