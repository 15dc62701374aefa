//! A return type that is no answer.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("count")]
    async fn count(&mut self) -> u8 {
        0
    }
}

fn main() {}
