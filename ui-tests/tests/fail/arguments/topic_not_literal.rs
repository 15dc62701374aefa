//! A topic is a literal.

use channel_runtime::prelude::*;

const ROOMS: &str = "room:*";

pub struct Room;

#[channel(ROOMS)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
