//! A payload that cannot be decoded.

use channel_runtime::prelude::*;

pub struct Opaque;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("open")]
    fn open(&mut self, msg: Opaque) {
        let _ = msg;
    }
}

fn main() {}
