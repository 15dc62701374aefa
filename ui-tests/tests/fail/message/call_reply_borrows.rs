use channel_runtime::prelude::*;

pub struct Ask;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_call]
    fn name(&mut self, _: Ask) -> &str {
        "lobby"
    }
}

fn main() {}
