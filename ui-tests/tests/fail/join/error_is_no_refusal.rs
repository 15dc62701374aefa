//! An error that cannot become a refusal.

use channel_runtime::prelude::*;

pub struct Failed;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Result<Self, Failed> {
        Err(Failed)
    }
}

fn main() {}
