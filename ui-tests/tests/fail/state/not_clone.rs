//! A state that cannot be cloned.

use channel_runtime::prelude::*;

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
    let builder = Endpoint::builder().socket::<User>("/socket");
    let _ = builder.with_state(App).build();
}
