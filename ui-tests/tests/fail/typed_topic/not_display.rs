//! A capture that can be read and not written.

use channel_runtime::prelude::*;

pub struct Id;

impl std::str::FromStr for Id {
    type Err = std::fmt::Error;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Id)
    }
}

pub struct Board;

#[channel("board:*")]
impl Board {
    #[join("board:{board}")]
    fn join(board: Id) -> Self {
        let _ = board;
        Board
    }
}

fn main() {
    let _ = Board::topic(Id);
}
