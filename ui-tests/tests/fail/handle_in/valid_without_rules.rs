use channel_runtime::{Valid, prelude::*};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Post {
    pub body: String,
}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("post")]
    fn post(&mut self, post: Valid<Post>) -> Reply<String> {
        Ok(post.0.body)
    }
}

fn main() {}
