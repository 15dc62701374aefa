use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", intercept = ["new_msg\t"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in(" ping")]
    fn ping(&mut self) {}
}

fn main() {}
