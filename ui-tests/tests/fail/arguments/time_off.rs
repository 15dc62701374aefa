use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", shutdown = off)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
