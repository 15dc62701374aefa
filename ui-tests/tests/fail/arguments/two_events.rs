//! One event per handler.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping", "pong")]
    fn ping(&mut self) {}
}

fn main() {}
