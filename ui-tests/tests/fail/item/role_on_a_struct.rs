//! A role on an item that is no method of a block.

use channel_runtime::prelude::*;

#[handle_in("ping")]
pub struct Room;

fn main() {}
