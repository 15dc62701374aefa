//! A channel moves between threads.

use std::rc::Rc;

use channel_runtime::prelude::*;

pub struct Room {
    pub shared: Rc<u8>,
}

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room { shared: Rc::new(1) }
    }
}

fn main() {}
