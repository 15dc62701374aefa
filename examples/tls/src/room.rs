//! A room where everybody hears what is said.

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// Anybody.
pub(crate) struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

/// Somebody in a room.
pub(crate) struct Room;

/// What is said.
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
