//! An empty pattern.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
