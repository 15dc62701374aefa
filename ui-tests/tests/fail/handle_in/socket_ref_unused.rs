//! A client that waits for ever is a mistake.

#![deny(unused_must_use)]

use channel_runtime::prelude::*;

fn later(to: SocketRef) -> SocketRef {
    to
}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("work")]
    fn work(&mut self, to: SocketRef) {
        later(to);
    }
}

fn main() {}
