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

pub fn tell(room: &ChannelRef<Room>) {
    let _ = room.cast(Tick);
}

fn main() {}
