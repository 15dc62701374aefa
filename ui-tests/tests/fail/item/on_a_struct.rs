//! The attribute is on an item other than an impl block.

use channel_runtime::prelude::*;

#[channel("room:*")]
pub struct Room;

fn main() {}
