//! An event that cannot be JSON.

use channel_runtime::prelude::*;

#[derive(Event)]
#[event("new_msg")]
pub struct NewMsg {
    pub body: String,
}

fn main() {}
