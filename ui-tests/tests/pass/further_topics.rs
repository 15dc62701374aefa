//! Broadcasts of topics other than the channel's own.

use channel_runtime::prelude::*;

pub struct News;

#[channel("news:*")]
impl News {
    #[join]
    fn join() -> Self {
        News
    }

    #[handle_in("watch")]
    fn watch(&mut self, topic: String, socket: &Socket<Self>) {
        socket.subscribe(topic);
    }

    #[handle_info]
    fn forward(&mut self, news: Broadcast, socket: &Socket<Self>) -> Result<(), Error> {
        socket.forward(&news)
    }
}

fn main() {}
