//! An event that the channel does not push.

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

pub async fn send(endpoint: &Endpoint) -> Result<(), Error> {
    endpoint.to(Board::topic(7)).broadcast(&Other).await
}

fn main() {}
