//! An error that cannot become a refusal.

use channel_runtime::prelude::*;

pub struct Failed;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("count")]
    fn count(&mut self) -> Reply<u8, Failed> {
        Err(Failed)
    }
}

fn main() {}
