use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("say", ratelimit(per_second = 5))]
    fn say(&mut self) {}
}

fn main() {}
