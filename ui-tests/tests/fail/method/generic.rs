//! Nothing determines T.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping<T: serde::de::DeserializeOwned>(&mut self, payload: T) {
        let _ = payload;
    }
}

fn main() {}
