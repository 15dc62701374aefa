//! A room: arrivals, departures, typing and messages.

mod events;
mod name;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

use self::{
    events::{Arrived, Gone, NewMsg, Typing},
    name::RoomName,
};
use crate::socket::UserSocket;

/// The longest message, in characters.
const LONGEST: usize = 1000;

/// One person in one room.
pub(crate) struct RoomChannel {
    name: String,
    /// The people whose messages this person does not want to see.
    muted: HashSet<String>,
}

/// The payload of a join. A page that joins again still knows whom it muted.
#[derive(Default, Deserialize)]
pub(crate) struct Enter {
    #[serde(default)]
    muted: HashSet<String>,
}

/// The response to a join.
#[derive(Serialize)]
pub(crate) struct Welcome {
    room: RoomName,
    you: String,
}

/// A message as a page sends it.
#[derive(Deserialize)]
pub(crate) struct Post {
    body: String,
}

/// The person to mute, or to hear again.
#[derive(Deserialize)]
pub(crate) struct Mute {
    name: String,
    muted: bool,
}

/// Sent to itself by a channel that has just been joined.
struct Entered;

#[channel(
    "room:*",
    socket = UserSocket,
    intercept = ["new_msg", "typing"],
    pushes = [NewMsg, Arrived, Gone, Typing],
)]
impl RoomChannel {
    #[join("room:{room}")]
    fn enter(
        room: RoomName,
        enter: Enter,
        user: &UserSocket,
        me: &ChannelRef<Self>,
    ) -> (Self, Welcome) {
        me.send(Entered);
        let name = user.name.clone();
        let welcome = Welcome {
            room,
            you: name.clone(),
        };
        (
            Self {
                name,
                muted: enter.muted,
            },
            welcome,
        )
    }

    /// Announces the new person. Nothing can be sent before the page has its answer, so this waits
    /// in the mailbox.
    #[handle_info]
    async fn announce(&mut self, _: Entered, socket: &Socket<Self>) -> Result<(), Error> {
        let people = socket.endpoint().subscriber_count(socket.topic());
        let name = self.name.clone();
        socket.broadcast(&Arrived { name, people }).await
    }

    #[handle_in("new_msg")]
    async fn post(&mut self, post: Post, socket: &Socket<Self>) -> Reply {
        let body = sayable(&post.body)?;
        let (from, at) = (self.name.clone(), now());
        socket
            .broadcast(&NewMsg {
                from,
                body,
                at,
                mine: false,
            })
            .await?;
        Ok(())
    }

    #[handle_in("typing")]
    async fn typing(&mut self, socket: &Socket<Self>) -> Result<(), Error> {
        let name = self.name.clone();
        socket.broadcast_from(&Typing { name }).await
    }

    #[handle_in("mute")]
    fn mute(&mut self, mute: Mute) -> Reply {
        if mute.name == self.name {
            return Err(Refusal::new("you cannot mute yourself"));
        }
        if mute.muted {
            self.muted.insert(mute.name);
        } else {
            self.muted.remove(&mute.name);
        }
        Ok(())
    }

    /// Runs once for every person in the room: each gets their own view of the message.
    #[handle_out("new_msg")]
    fn deliver(&mut self, message: NewMsg, socket: &Socket<Self>) -> Result<(), Error> {
        if self.muted.contains(&message.from) {
            return Ok(());
        }
        let mine = message.from == self.name;
        socket.push(&NewMsg { mine, ..message })
    }

    #[handle_out("typing")]
    fn deliver_typing(&mut self, typing: Typing, socket: &Socket<Self>) -> Result<(), Error> {
        if self.muted.contains(&typing.name) {
            return Ok(());
        }
        socket.push(&typing)
    }

    #[terminate]
    async fn leave(self, reason: Reason, socket: &Socket<Self>) {
        // If the server goes down or the page joins again, the person has not left.
        if matches!(reason, Reason::Draining | Reason::Rejoined) {
            return;
        }
        let people = socket
            .endpoint()
            .subscriber_count(socket.topic())
            .saturating_sub(1);
        let gone = Gone {
            name: self.name,
            people,
        };
        if let Err(error) = socket.broadcast_from(&gone).await {
            eprintln!("chat: nobody hears that somebody left: {error}");
        }
    }
}

/// Returns the text of a message without the space around it, or why it is refused.
fn sayable(body: &str) -> Result<String, Refusal> {
    let body = body.trim();
    if body.is_empty() {
        return Err(Refusal::new("there is nothing in this message"));
    }
    if body.chars().count() > LONGEST {
        return Err(Refusal::new("this message is too long").with("limit", LONGEST));
    }
    Ok(body.to_owned())
}

/// Returns the milliseconds since 1970, as JavaScript counts time.
fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
