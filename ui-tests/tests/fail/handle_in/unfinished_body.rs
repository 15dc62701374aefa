//! A body that does not compile is reported at its place.

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
        socket.pusch();
    }
}

fn main() {}
