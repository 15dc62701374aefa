//! A union has no one value.

use channel_runtime::prelude::*;

#[derive(Event)]
#[event("new_msg")]
pub union NewMsg {
    pub a: u8,
    pub b: u8,
}

fn main() {}
