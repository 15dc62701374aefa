//! An event that the channel does not declare.

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("oops")]
pub struct Oops {}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("oops")]
    async fn oops(&mut self, socket: &Socket<Self>) -> Reply {
        socket.broadcast(&Oops {}).await?;
        Ok(())
    }
}

fn main() {}
