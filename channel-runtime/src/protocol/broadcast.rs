use std::{fmt, sync::Arc};

use smol_str::SmolStr;

use super::{Payload, Topic};

/// An event on a topic, as its subscribers receive it.
///
/// It has no refs, so one value serves all subscribers; cloning shares it. Mirrors
/// `Phoenix.Socket.Broadcast`.
#[derive(Clone)]
pub struct Broadcast(Arc<Inner>);

struct Inner {
    topic: Topic,
    event: SmolStr,
    payload: Payload,
}

impl Broadcast {
    /// Creates an event on a topic.
    pub fn new(topic: impl Into<Topic>, event: impl AsRef<str>, payload: Payload) -> Self {
        let event = SmolStr::new(event);
        Broadcast(Arc::new(Inner {
            topic: topic.into(),
            event,
            payload,
        }))
    }

    /// Returns the topic it was sent to.
    pub fn topic(&self) -> &Topic {
        &self.0.topic
    }

    /// Returns the event's name.
    pub fn event(&self) -> &str {
        &self.0.event
    }

    /// Returns the payload.
    pub fn payload(&self) -> &Payload {
        &self.0.payload
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("topic", self.topic())
            .field("event", &self.event())
            .finish_non_exhaustive()
    }
}
