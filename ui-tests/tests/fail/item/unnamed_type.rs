//! A tuple is not a user's own type.

use channel_runtime::prelude::*;

#[channel("room:*")]
impl (u8, u8) {
    #[join]
    fn join() -> Self {
        (0, 0)
    }
}

fn main() {}
