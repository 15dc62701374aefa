//! An event handled twice.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self) {}

    #[handle_in("ping")]
    fn pong(&mut self) {}
}

fn main() {}
