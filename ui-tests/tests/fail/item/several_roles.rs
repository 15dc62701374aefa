//! A method with two roles.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    #[handle_in("pong")]
    fn ping(&mut self) {}
}

fn main() {}
