//! A type that is not in scope is reported once.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, payload: Unknown) {
        let _ = payload;
    }
}

fn main() {}
