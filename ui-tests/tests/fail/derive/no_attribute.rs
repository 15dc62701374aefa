//! An event without a name.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
pub struct NewMsg {
    body: String,
}

fn main() {}
