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

    #[handle_in("ping")]
    fn ping(&mut self, _: Post<'_>) {}
}

fn main() {}
