//! A role on an item other than a method.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("limit")]
    const LIMIT: usize = 3;
}

fn main() {}
