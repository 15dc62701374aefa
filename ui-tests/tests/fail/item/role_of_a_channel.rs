//! A role of a channel in a socket.

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

    #[handle_in("ping")]
    fn ping(&mut self) {}
}

fn main() {}
