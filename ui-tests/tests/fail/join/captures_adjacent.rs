//! Two captures with nothing between them.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{a}{b}")]
    fn join(a: u32, b: u32) -> Self {
        let _ = (a, b);
        Room
    }
}

fn main() {}
