//! The macro cannot see through `cfg_attr`.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[cfg_attr(unix, handle_in("ping"))]
    fn ping(&mut self) {}
}

fn main() {}
