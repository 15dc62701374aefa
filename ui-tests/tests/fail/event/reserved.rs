//! An event of the protocol.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("phx_join")]
    fn ping(&mut self) {}
}

fn main() {}
