//! What is shared is not loaded by anything.

use channel_runtime::prelude::*;

pub struct Board;

pub struct BoardChannel;

#[channel("board:*", shared = Board)]
impl BoardChannel {
    #[join]
    fn join() -> Self {
        BoardChannel
    }
}

fn main() {}
