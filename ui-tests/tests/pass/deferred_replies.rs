//! Replies from another task.

use channel_runtime::prelude::*;

pub struct Work;

#[channel("work:*")]
impl Work {
    #[join]
    fn join() -> Self {
        Work
    }

    #[handle_in("work")]
    fn work(&mut self, job: String, to: SocketRef) {
        tokio::spawn(async move { to.ok(job.len()) });
    }

    #[handle_in("stop")]
    async fn stop(&mut self, to: SocketRef) -> Stop {
        to.error(Refusal::new("stopped"));
        Stop::normal()
    }

    #[handle_in("maybe")]
    fn maybe(&mut self, to: channel_runtime::SocketRef, topic: &Topic) -> Result<(), Error> {
        to.reply(Status("later", topic.to_string()));
        Ok(())
    }
}

fn main() {}
