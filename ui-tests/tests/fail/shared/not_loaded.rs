//! The shared state has no `LoadShared` impl.

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
