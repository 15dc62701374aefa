//! More captures than the pattern has.

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

pub fn find(endpoint: &Endpoint) -> usize {
    endpoint.channels(Board::topic((7_u64, 8_u64))).len()
}

fn main() {}
