use channel_runtime::prelude::*;

pub struct Db;

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
    fn connect(_: &Db) -> Self {
        User
    }
}

fn main() {}
