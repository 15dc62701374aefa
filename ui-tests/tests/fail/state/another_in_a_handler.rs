//! A part of the state is not the state.

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

pub struct Db;

pub struct Room;

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, _: &Db) {}
}

fn main() {}
