//! There is no client message to answer, borrowed or not.

use channel_runtime::prelude::*;

pub struct Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info]
    fn tick(&mut self, _: Tick, to: &SocketRef) {
        let _ = to;
    }
}

fn main() {}
