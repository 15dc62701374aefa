//! A room whose messages reach all of its clients.

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// Any client.
pub(crate) struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

/// A client in a room.
pub(crate) struct Room;

/// A message.
#[derive(Serialize, Deserialize, Event)]
#[event("new_msg")]
pub(crate) struct NewMsg {
    body: String,
}

#[channel("room:*", pushes = [NewMsg])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("new_msg")]
    async fn say(&mut self, message: NewMsg, socket: &Socket<Self>) -> Reply {
        socket.broadcast(&message).await?;
        Ok(())
    }
}
