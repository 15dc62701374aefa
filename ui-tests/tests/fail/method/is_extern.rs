//! A handler with another ABI.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    extern "C" fn ping(&mut self) {}
}

fn main() {}
