//! A type that is not an event.

use channel_runtime::prelude::*;

pub struct Oops;

pub struct Room;

#[channel("room:*", pushes = [Oops])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
