//! A handler that replies later does not reply now.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("work")]
    fn work(&mut self, to: SocketRef) -> Reply {
        to.ok(());
        Ok(())
    }
}

fn main() {}
