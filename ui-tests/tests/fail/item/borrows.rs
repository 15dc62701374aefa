//! A channel outlives all borrows.

use channel_runtime::prelude::*;

pub struct Room<'a> {
    pub name: &'a str,
}

#[channel("room:*")]
impl<'a> Room<'a> {
    #[join]
    fn join() -> Self {
        Room { name: "" }
    }
}

fn main() {}
