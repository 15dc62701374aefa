use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", shutdown = 18_446_744_073_709_551_615s)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
