//! An event attribute without a name.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event()]
pub struct NewMsg {
    body: String,
}

fn main() {}
