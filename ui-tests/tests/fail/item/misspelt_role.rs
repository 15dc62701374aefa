//! A typo in a role.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_inn("ping")]
    fn ping(&mut self) {}
}

fn main() {}
