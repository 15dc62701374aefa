//! A binary event is of bytes.

use channel_runtime::prelude::*;

#[derive(Event)]
#[event("chunk", binary)]
pub struct Chunk(pub u64);

fn main() {}
