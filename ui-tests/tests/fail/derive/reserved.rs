//! An event of the protocol.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("phx_reply")]
pub struct NewMsg {
    body: String,
}

fn main() {}
