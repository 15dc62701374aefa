//! Borrowed parameters are shared references.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("count")]
    fn count(&mut self, socket: &mut Socket<Self>) {
        let _ = socket;
    }
}

fn main() {}
