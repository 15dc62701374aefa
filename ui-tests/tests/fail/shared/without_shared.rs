//! Shared state is borrowed as `&Shared<Board>`.

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
    #[join]
    fn join() -> Self {
        BoardChannel
    }

    #[handle_in("ping")]
    fn ping(&mut self, _: &Board) {}
}

fn main() {}
