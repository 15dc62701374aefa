use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join(_: &str) -> Self {
        Room
    }
}

fn main() {}
