//! A handler that replies later returns nothing.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("work")]
    fn work(&mut self, to: SocketRef) -> u8 {
        to.ok(());
        0
    }
}

fn main() {}
