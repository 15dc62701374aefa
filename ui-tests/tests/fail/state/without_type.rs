//! `state` names a type.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub struct User;

#[socket(channels = [Room], state)]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
