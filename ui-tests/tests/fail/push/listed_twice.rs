//! An event listed twice.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("oops")]
pub struct Oops {}

pub struct Room;

#[channel("room:*", pushes = [Oops, Oops])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
