//! The state is borrowed, not owned.

use channel_runtime::prelude::*;

#[derive(Clone)]
pub struct App;

pub struct Room;

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub struct User;

#[socket(channels = [Room], state = App)]
impl User {
    #[connect]
    fn connect(_: App) -> Self {
        User
    }
}

fn main() {}
