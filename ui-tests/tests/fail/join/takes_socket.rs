//! There is no joined socket before joining.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join(socket: &Socket<Self>) -> Self {
        let _ = socket;
        Room
    }
}

fn main() {}
