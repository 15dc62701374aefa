//! A message handled twice, under two names.

use channel_runtime::prelude::*;

pub struct Tick;
pub type Tock = Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info]
    fn first(&mut self, _: Tick) {}

    #[handle_info]
    fn second(&mut self, _: Tock) {}
}

fn main() {}
