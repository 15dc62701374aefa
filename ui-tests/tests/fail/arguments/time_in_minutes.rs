use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", hibernate_after = 5min)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
