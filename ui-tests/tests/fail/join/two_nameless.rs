//! Two joins that take every topic.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[join]
    fn others() -> Self {
        Room
    }
}

fn main() {}
