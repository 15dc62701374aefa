use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self) -> Reply<String> {
        Ok(std::fs::read_to_string("file")?)
    }
}

fn main() {}
