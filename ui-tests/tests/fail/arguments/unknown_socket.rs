use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", socket = Missing)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, socket: &Socket<Self>) {
        let _ = socket;
    }
}

fn main() {}
