//! A channel that names no socket belongs to every socket, and so has no state.

use channel_runtime::prelude::*;

#[derive(Clone)]
pub struct App;

pub struct User;

#[socket(channels = [Room], state = App)]
impl User {
    #[connect]
    fn connect(_: &App) -> Self {
        User
    }
}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join(_: &App) -> Self {
        Room
    }
}

fn main() {}
