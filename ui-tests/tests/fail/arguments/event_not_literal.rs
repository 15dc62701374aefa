//! An event is a literal.

use channel_runtime::prelude::*;

const PING: &str = "ping";

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in(PING)]
    fn ping(&mut self) {}
}

fn main() {}
