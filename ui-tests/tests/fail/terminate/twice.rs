//! A channel has one end.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[terminate]
    fn first(self) {}

    #[terminate]
    fn second(self) {}
}

fn main() {}
