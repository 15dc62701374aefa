use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("say", rate_limit(per_second = 5s))]
    fn say(&mut self) {}
}

fn main() {}
