use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", rate_limit(per_seconds = 5))]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("say")]
    fn say(&mut self) {}
}

fn main() {}
