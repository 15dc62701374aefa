//! The attribute is on something else than an impl block.

use channel_runtime::prelude::*;

#[channel("room:*")]
pub struct Room;

fn main() {}
