//! A condition on a parameter.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, #[cfg(unix)] topic: &Topic) {
        let _ = topic;
    }
}

fn main() {}
