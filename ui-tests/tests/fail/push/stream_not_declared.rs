use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("entry")]
pub struct Entry;

pub struct Log;

#[channel("log:*")]
impl Log {
    #[join]
    fn join() -> Self {
        Log
    }

    #[handle_in("history")]
    fn history(&mut self, socket: &Socket<Self>) -> PushStream {
        socket.stream(futures_util::stream::iter([Entry]))
    }
}

fn main() {}
