use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

impl Room {
    #[handle_in("ping")]
    fn ping(&mut self) {}
}

fn main() {}
