//! A binary event is its bytes.

use channel_runtime::prelude::*;

#[derive(Event)]
#[event("chunk", binary)]
pub struct Chunk {
    pub bytes: Bytes,
}

fn main() {}
