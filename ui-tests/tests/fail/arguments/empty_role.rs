//! An empty pair of parentheses.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in()]
    fn ping(&mut self) {}
}

fn main() {}
