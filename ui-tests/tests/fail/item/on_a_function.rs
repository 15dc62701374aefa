//! The attribute is on a function.

use channel_runtime::prelude::*;

#[socket(channels = [Room])]
pub fn connect() {}

fn main() {}
