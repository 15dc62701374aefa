use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Result<Self, std::io::Error> {
        Ok(Room)
    }
}

fn main() {}
