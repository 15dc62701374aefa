//! The runtime cannot keep a promise.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    unsafe fn ping(&mut self) {}
}

fn main() {}
