use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*"s)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
