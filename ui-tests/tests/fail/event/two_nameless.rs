//! Two handlers for all other events.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in]
    fn any(&mut self) {}

    #[handle_in]
    fn all(&mut self) {}
}

fn main() {}
