//! All errors are reported at once.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*:users", intercpt = [])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self) {}

    #[handle_in("ping")]
    fn pong(&mut self) {}

    #[handle_info]
    fn tick(&mut self) {}
}

fn main() {}
