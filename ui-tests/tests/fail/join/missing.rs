//! A channel without a join.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[handle_in("ping")]
    fn ping(&mut self) {}
}

fn main() {}
