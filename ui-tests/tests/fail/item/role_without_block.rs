//! A role outside a block.

use channel_runtime::attributes::handle_in;

pub struct Room;

impl Room {
    #[handle_in("ping")]
    pub fn ping(&mut self) {}
}

fn main() {}
