//! A message that the channel does not handle.

use channel_runtime::prelude::*;

pub struct Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub fn tick(room: &ChannelRef<Room>) {
    room.send(Tick);
}

fn main() {}
