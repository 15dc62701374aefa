use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{id} ")]
    fn join(id: u64) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
