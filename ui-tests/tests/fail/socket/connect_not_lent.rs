//! There is no topic before joining.

use channel_runtime::prelude::*;

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
    fn connect(topic: &Topic) -> Self {
        let _ = topic;
        User
    }
}

fn main() {}
