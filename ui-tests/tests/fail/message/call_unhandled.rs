//! A call that the channel does not handle.

use channel_runtime::prelude::*;

pub struct Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info]
    fn tick(&mut self, _: Tick) {}
}

pub async fn tick(room: &ChannelRef<Room>) {
    let _ = room.call(Tick).await;
}

fn main() {}
