use channel_runtime::prelude::*;
use channel_runtime::{Reason, Stop};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct Post {
    pub body: String,
}

#[derive(Serialize, Deserialize, Event)]
#[event("posted")]
pub struct Posted {
    pub body: String,
}

#[derive(Serialize)]
pub struct Count {
    pub posts: u64,
}

pub struct Tick;

pub struct Room0 {
    id: u32,
    posts: u64,
}

#[channel("room0:*", intercept = ["posted"], pushes = [Posted])]
impl Room0 {
    #[join("room0:{id}")]
    async fn join(id: u32) -> Result<Self, Refusal> {
        if id == 0 {
            return Err(Refusal::new("unauthorized"));
        }
        Ok(Room0 { id, posts: 0 })
    }

    #[handle_in("post")]
    async fn post(&mut self, post: Post, socket: &Socket<Self>) -> Reply {
        if post.body.is_empty() {
            return Err(Refusal::new("empty"));
        }
        self.posts += 1;
        Ok(socket.broadcast(&Posted { body: post.body }).await?)
    }

    #[handle_in("whisper")]
    async fn whisper(&mut self, post: Post, socket: &Socket<Self>) -> Result<(), Refusal> {
        Ok(socket.push(&Posted { body: post.body })?)
    }

    #[handle_in("count")]
    fn count(&mut self) -> Reply<Count> {
        Ok(Count { posts: self.posts })
    }

    #[handle_in("echo")]
    fn echo(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }

    #[handle_in("topic")]
    fn topic(&mut self, topic: &Topic) -> Reply<String> {
        Ok(topic.as_str().to_owned())
    }

    #[handle_in("reset")]
    fn reset(&mut self) {
        self.posts = 0;
    }

    #[handle_in("leave")]
    fn leave(&mut self) -> Stop {
        Stop::normal()
    }

    #[handle_out("posted")]
    fn posted(&mut self, posted: Posted, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&posted)
    }

    #[handle_info]
    fn tick(&mut self, _tick: Tick) {
        self.posts += 1;
    }

    #[terminate]
    fn terminate(self, reason: Reason) {
        let _both = (self.id, reason);
    }
}
