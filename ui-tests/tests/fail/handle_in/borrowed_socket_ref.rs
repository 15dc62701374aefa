//! A `SocketRef` is taken by value, not borrowed.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("work")]
    fn work(&mut self, to: &SocketRef) {
        let _ = to;
    }
}

fn main() {}
