//! A reply that cannot be JSON.

use channel_runtime::prelude::*;

pub struct Count;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("count")]
    fn count(&mut self) -> Reply<Count> {
        Ok(Count)
    }
}

fn main() {}
