//! The state is of another type than the socket's.

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

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

#[derive(Clone)]
pub struct Db;

fn main() {
    let builder = Endpoint::builder().socket::<User>("/socket");
    let _ = builder.with_state(Db).build();
}
