use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:<id>")]
impl Room {
    #[join]
    fn join(id: u64) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
