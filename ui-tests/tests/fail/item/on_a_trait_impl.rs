//! The impl of a trait has no methods of its own.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Default for Room {
    #[join]
    fn default() -> Self {
        Room
    }
}

fn main() {}
