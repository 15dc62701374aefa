use channel_runtime::prelude::*;

use serde::Serialize;

#[derive(Serialize, Event)]
#[event("new_msg")]
pub struct NewMsg;

pub struct Room;

#[channel("room:*", pushes = [#[cfg(all())] NewMsg])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, socket: &Socket<Self>) {
        let _ = socket.push(&NewMsg);
    }
}

fn main() {}
