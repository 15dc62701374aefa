//! A capture without a name.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{}")]
    fn join() -> Self {
        Room
    }
}

fn main() {}
