//! A result that cannot move between threads.

use std::rc::Rc;

use channel_runtime::prelude::*;

pub struct Tick;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_call]
    fn tick(&mut self, _: Tick) -> Rc<u8> {
        Rc::new(1)
    }
}

fn main() {}
