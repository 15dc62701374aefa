use channel_runtime::prelude::*;

pub struct Room;

#[channel("*")]
impl Room {
    #[join(":id")]
    fn join(id: u64) -> Self {
        let _ = id;
        Room
    }
}

fn main() {}
