//! The socket and the channel that every node of the tests serves.

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// The user of a client.
pub struct User {
    name: String,
}

/// The connect parameters.
#[derive(Deserialize)]
pub struct Credentials {
    name: String,
}

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(credentials: Credentials) -> Self {
        User {
            name: credentials.name,
        }
    }

    #[id]
    fn id(&self) -> String {
        format!("users:{}", self.name)
    }
}

/// A numbered message.
#[derive(Clone, Debug, Serialize, Deserialize, Event, PartialEq)]
#[event("said")]
pub struct Said {
    /// Its number.
    pub n: u64,
    /// A text to make it larger.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

impl Said {
    /// Creates a message with only a number.
    pub fn new(n: u64) -> Self {
        let body = String::new();
        Said { n, body }
    }
}

/// A message that every client sees in its own way.
#[derive(Serialize, Deserialize, Event)]
#[event("secret")]
pub struct Secret {
    n: u64,
    #[serde(default)]
    seen_by: String,
}

/// Bytes.
#[derive(Serialize, Event)]
#[event("blob")]
pub struct Blob;

/// A room.
pub struct Room;

#[channel("*", socket = User, intercept = ["secret"], pushes = [Said, Secret])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("all")]
    async fn all(&mut self, msg: Said, socket: &Socket<Self>) -> Reply {
        publish(socket.broadcast(&msg).await)
    }

    #[handle_in("others")]
    async fn others(&mut self, msg: Said, socket: &Socket<Self>) -> Reply {
        publish(socket.broadcast_from(&msg).await)
    }

    #[handle_in("local")]
    fn local(&mut self, msg: Said, socket: &Socket<Self>) -> Reply {
        publish(socket.local_broadcast(&msg))
    }

    #[handle_in("whisper")]
    async fn whisper(&mut self, msg: Secret, socket: &Socket<Self>) -> Reply {
        publish(socket.broadcast(&msg).await)
    }

    #[handle_out("secret")]
    fn reveal(&mut self, msg: Secret, user: &User, socket: &Socket<Self>) -> Result<(), Error> {
        if user.name.starts_with("spy") {
            return Ok(());
        }
        let seen_by = user.name.clone();
        socket.push(&Secret { seen_by, ..msg })
    }

    #[handle_in("echo")]
    fn echo(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }

    #[handle_in("watch")]
    async fn watch(&mut self, topic: String, socket: &Socket<Self>) -> Reply {
        socket.subscribe_confirmed(topic).await;
        Ok(())
    }

    #[handle_info]
    fn relay(&mut self, broadcast: Broadcast, socket: &Socket<Self>) -> Result<(), Error> {
        socket.forward(&broadcast)
    }
}

/// Tells the client in words why its message may not have reached the other nodes.
fn publish(outcome: Result<(), Error>) -> Reply {
    outcome.map_err(|error| match error {
        Error::Publish(error) => Refusal::new(format!("{error}")),
        error => error.into(),
    })
}
