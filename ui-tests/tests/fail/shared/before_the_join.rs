//! A gate of a join runs before what is shared is loaded.

use channel_runtime::{LoadShared, Loading, prelude::*};

pub struct Board;

impl LoadShared<BoardChannel> for Board {
    async fn load(_: &Loading<'_, BoardChannel>) -> Result<Self, Refusal> {
        Ok(Board)
    }
}

pub struct BoardChannel;

#[channel("board:*", shared = Board)]
impl BoardChannel {
    #[before_join]
    fn gate(_: &Shared<Board>) -> Result<(), Refusal> {
        Ok(())
    }

    #[join]
    fn join(_: &Shared<Board>) -> Self {
        BoardChannel
    }
}

fn main() {}
