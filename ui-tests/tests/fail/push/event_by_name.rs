use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, socket: &Socket<Self>) {
        let _ = socket.push("new_msg", 1);
    }
}

fn main() {}
