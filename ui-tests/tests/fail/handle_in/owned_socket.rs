//! The socket is borrowed, not owned.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("count")]
    fn count(&mut self, socket: Socket<Self>) {
        let _ = socket;
    }
}

fn main() {}
