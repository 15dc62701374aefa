use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", shutdown = 5_000)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
