//! The room. Apart from reporting which node it is on, it knows nothing of nodes.

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) struct UserSocket {
    name: String,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
}

#[socket(channels = [Room])]
impl UserSocket {
    #[connect]
    fn connect(credentials: Credentials) -> Self {
        UserSocket {
            name: credentials.name,
        }
    }
}

/// A message of a person, on any node.
#[derive(Serialize, Event)]
#[event("said")]
pub(crate) struct Said {
    from: String,
    node: String,
    body: String,
}

#[derive(Deserialize)]
pub(crate) struct Post {
    body: String,
}

/// The response to a join.
#[derive(Serialize)]
pub(crate) struct Welcome {
    node: String,
}

pub(crate) struct Room;

#[channel("room:*", socket = UserSocket, pushes = [Said])]
impl Room {
    #[join]
    fn join(endpoint: &Endpoint) -> (Self, Welcome) {
        let node = endpoint.node().to_owned();
        (Room, Welcome { node })
    }

    #[handle_in("say")]
    async fn say(&mut self, post: Post, user: &UserSocket, socket: &Socket<Self>) -> Reply {
        let said = Said {
            from: user.name.clone(),
            node: socket.endpoint().node().to_owned(),
            body: post.body,
        };
        // Every client of this node has it, whatever the result; the page shows the refusal.
        match socket.broadcast(&said).await {
            Err(Error::Publish(error)) => Err(Refusal::new(error.to_string())),
            outcome => Ok(outcome?),
        }
    }
}
