//! A socket has a state, and the endpoint is built without it.

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

fn main() {
    let _ = Endpoint::builder().socket::<User>("/socket").build();
}
