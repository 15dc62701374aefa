use channel_runtime::prelude::*;

#[derive(serde::Deserialize)]
pub struct Post<'a> {
    pub body: &'a str,
}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join(_: Post<'_>) -> Self {
        Room
    }
}

fn main() {}
