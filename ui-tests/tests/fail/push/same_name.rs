//! Two events with one name.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("oops")]
pub struct Oops {}

#[derive(Serialize, Event)]
#[event("oops")]
pub struct Again {}

pub struct Room;

#[channel("room:*", pushes = [Oops, Again])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

fn main() {}
