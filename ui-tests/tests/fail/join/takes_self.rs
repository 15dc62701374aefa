//! There is no channel before joining.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join(&self) -> Self {
        Room
    }
}

fn main() {}
