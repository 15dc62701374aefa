//! The topic of one channel, for another.

use channel_runtime::prelude::*;

#[derive(serde::Serialize, Event)]
#[event("moved")]
pub struct Moved;

#[derive(serde::Serialize, Event)]
#[event("other")]
pub struct Other;

pub struct Board;

#[channel("board:*", pushes = [Moved])]
impl Board {
    #[join("board:{board}")]
    fn join(board: u64) -> Self {
        let _ = board;
        Board
    }
}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join("room:{room}")]
    fn join(room: u64) -> Self {
        let _ = room;
        Room
    }
}

pub fn find(endpoint: &Endpoint) -> usize {
    endpoint.channels::<Board>(Room::topic(7)).len()
}

fn main() {}
