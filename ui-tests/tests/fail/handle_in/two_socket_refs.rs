//! A message is answered once.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("work")]
    fn work(&mut self, to: SocketRef, also: SocketRef) {
        to.ignore();
        also.ignore();
    }
}

fn main() {}
