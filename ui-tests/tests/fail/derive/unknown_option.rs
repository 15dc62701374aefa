//! An option that does not exist.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("new_msg", binry)]
pub struct NewMsg {
    body: String,
}

fn main() {}
