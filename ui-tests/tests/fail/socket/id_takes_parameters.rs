//! An id depends on the socket alone.

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
    fn id(&self, info: &ConnectInfo) -> String {
        info.transport.to_string()
    }
}

fn main() {}
