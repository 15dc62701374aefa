//! The chat of the documentation: every role, captures, replies, pushes and intercepts.

use std::collections::HashSet;

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

type UserId = u64;

#[derive(Deserialize)]
pub struct Credentials {
    token: String,
}

pub struct UserSocket {
    user: UserId,
}

#[socket(channels = [RoomChannel])]
impl UserSocket {
    #[connect]
    async fn connect(credentials: Credentials, info: &ConnectInfo) -> Result<Self, Refusal> {
        let _ = info.transport;
        let user = credentials
            .token
            .parse()
            .map_err(|_| Refusal::new("unauthorized"))?;
        Ok(Self { user })
    }

    #[id]
    fn id(&self) -> Option<String> {
        Some(format!("users:{}", self.user))
    }
}

#[derive(Deserialize)]
pub struct Enter {
    password: Option<String>,
}

#[derive(Serialize)]
pub struct Welcome {
    members: usize,
}

#[derive(Deserialize)]
pub struct Post {
    body: String,
}

#[derive(Serialize, Deserialize, Event)]
#[event("new_msg")]
pub struct NewMsg {
    from: UserId,
    body: String,
    #[serde(default)]
    editable: bool,
}

#[derive(Serialize, Event)]
#[event("user_joined")]
pub struct UserJoined {
    user: UserId,
}

#[derive(Serialize)]
pub struct Progress {
    bytes: usize,
}

pub struct Entered;
pub struct Ignore(UserId);
pub struct CountIgnored;

pub struct RoomChannel {
    user: UserId,
    ignored: HashSet<UserId>,
}

#[channel("room:*", socket = UserSocket, intercept = ["new_msg"], pushes = [NewMsg, UserJoined])]
impl RoomChannel {
    #[join("room:lobby")]
    async fn lobby(user: &UserSocket, me: &ChannelRef<Self>) -> Result<Self, Refusal> {
        me.send(Entered);
        Ok(Self {
            user: user.user,
            ignored: HashSet::new(),
        })
    }

    #[join("room:{id}")]
    async fn room(id: u32, enter: Enter, user: &UserSocket) -> Result<(Self, Welcome), Refusal> {
        if id > 100 && enter.password.is_none() {
            return Err(Refusal::new("password"));
        }
        let room = Self {
            user: user.user,
            ignored: HashSet::new(),
        };
        Ok((room, Welcome { members: 1 }))
    }

    #[handle_info]
    async fn announce(&mut self, _: Entered, socket: &Socket<Self>) {
        let _ = socket.broadcast_from(&UserJoined { user: self.user }).await;
    }

    #[handle_in("new_msg")]
    async fn post(&mut self, post: Post, socket: &Socket<Self>) -> Reply {
        if post.body.is_empty() {
            return Err(Refusal::new("empty"));
        }
        socket
            .broadcast(&NewMsg {
                from: self.user,
                body: post.body,
                editable: false,
            })
            .await?;
        Ok(())
    }

    #[handle_in("file_chunk")]
    async fn chunk(&mut self, chunk: Binary) -> Reply<Progress> {
        Ok(Progress {
            bytes: chunk.as_ref().len(),
        })
    }

    #[handle_out("new_msg")]
    async fn deliver(&mut self, msg: NewMsg, socket: &Socket<Self>) -> Result<(), Error> {
        if self.ignored.contains(&msg.from) {
            return Ok(());
        }
        socket.push(&NewMsg {
            editable: msg.from == self.user,
            ..msg
        })
    }

    #[handle_cast]
    fn ignore(&mut self, Ignore(user): Ignore) {
        self.ignored.insert(user);
    }

    #[handle_call]
    fn count(&self, _: CountIgnored) -> usize {
        self.ignored.len()
    }

    #[terminate]
    async fn bye(self, reason: Reason) {
        let _ = reason.is_error();
    }
}

async fn from_elsewhere(room: ChannelRef<RoomChannel>) -> Result<usize, Error> {
    room.send(Entered);
    room.cast(Ignore(7))?;
    room.call(CountIgnored).await
}

fn main() {
    let _ = from_elsewhere;
}
