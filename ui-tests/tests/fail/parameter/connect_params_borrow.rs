use channel_runtime::prelude::*;

#[derive(serde::Deserialize)]
pub struct Post<'a> {
    pub body: &'a str,
}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(_: Post<'_>) -> Self {
        User
    }
}

fn main() {}
