//! An event has one name.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("new_msg", "message")]
pub struct NewMsg {
    body: String,
}

fn main() {}
