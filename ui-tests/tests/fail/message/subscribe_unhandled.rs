//! Broadcasts of a further topic need a handler.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("watch")]
    fn watch(&mut self, socket: &Socket<Self>) {
        socket.subscribe("news");
    }
}

fn main() {}
