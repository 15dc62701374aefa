use channel_runtime::prelude::*;

use serde::Serialize;

#[derive(Serialize, Event)]
#[event(name = "new_msg")]
pub struct NewMsg;

fn main() {}
