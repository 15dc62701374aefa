//! A join without a pattern, with no topics left.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:*")]
    fn room() -> Self {
        Room
    }

    #[join]
    fn others() -> Self {
        Room
    }
}

fn main() {}
