//! The channel names nothing that is shared.

use channel_runtime::prelude::*;

pub struct Board;

pub struct BoardChannel;

#[channel("board:*")]
impl BoardChannel {
    #[join]
    fn join(_: &Shared<Board>) -> Self {
        BoardChannel
    }
}

fn main() {}
