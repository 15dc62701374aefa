//! Topics as types: written by what reads them, and sent only what their channel pushes.

use std::{fmt, marker::PhantomData};

use super::{Channel, ChannelRef, PushedBy, mailbox::Mailbox};
use crate::{
    endpoint::Endpoint,
    error::{Error, TopicError},
    protocol::{Refusal, Topic, pattern_matches, reads_as},
    pubsub::SubscriberId,
};

/// A topic of the channel `C`: see [`TypedTopic::topic`].
pub struct ChannelTopic<C> {
    topic: Topic,
    channel: PhantomData<fn() -> C>,
}

impl<C> ChannelTopic<C> {
    /// The topic as clients name it.
    pub fn as_str(&self) -> &str {
        self.topic.as_str()
    }
}

impl<C> Clone for ChannelTopic<C> {
    fn clone(&self) -> Self {
        ChannelTopic {
            topic: self.topic.clone(),
            channel: PhantomData,
        }
    }
}

impl<C> fmt::Debug for ChannelTopic<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topic.fmt(f)
    }
}

impl<C> fmt::Display for ChannelTopic<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<C> From<ChannelTopic<C>> for Topic {
    fn from(topic: ChannelTopic<C>) -> Topic {
        topic.topic
    }
}

/// Writes the topics of a channel from what its `#[join]`s capture. In the prelude, for every
/// channel.
pub trait TypedTopic: Channel {
    /// Writes the topic that a `#[join]` of the channel reads these captures from: one value, a tuple
    /// of several in the order of the pattern, or `()` for a pattern without any.
    ///
    /// ```
    /// # use channel_runtime::prelude::*;
    /// # pub struct Board;
    /// #[channel("board:*")]
    /// impl Board {
    ///     #[join("board:{board}")]
    ///     fn join(board: u64) -> Self { Board }
    /// }
    ///
    /// assert_eq!(Board::topic(7)?.as_str(), "board:7");
    /// # Ok::<(), channel_runtime::TopicError>(())
    /// ```
    ///
    /// A capture is written by its [`Display`](fmt::Display). Of several joins, the one is meant whose
    /// captures have these types; where two have, name it by its place in the block, from 0:
    /// `Board::topic::<_, 1>(7)`.
    ///
    /// # Errors
    ///
    /// [`TopicError`], where the join would read something else: a text that holds what separates it
    /// from the next capture, or a topic that matches no pattern of the channel.
    fn topic<T, const JOIN: usize>(captures: T) -> Result<ChannelTopic<Self>, TopicError>
    where
        Self: WritesTopic<T, JOIN>,
    {
        let (literals, texts) = (Self::LITERALS, Self::texts(captures));
        let mut topic = String::new();
        let mut texts_left = texts.iter();
        for literal in literals {
            topic.push_str(literal);
            topic.extend(texts_left.next().map(String::as_str));
        }
        let taken = Self::TOPICS
            .iter()
            .any(|pattern| pattern_matches(pattern, &topic));
        if !taken || !reads_as(literals, &topic, &texts) {
            return Err(TopicError::new(Self::NAME, topic));
        }
        Ok(ChannelTopic {
            topic: topic.into(),
            channel: PhantomData,
        })
    }

    /// Reads the captures of a topic, as the channel's `#[join]` does; of several joins, the one at the
    /// place `JOIN`, from 0.
    ///
    /// # Errors
    ///
    /// The refusal that a client gets: `unmatched topic`, or `invalid topic` with the parameter.
    fn captures<const JOIN: usize>(topic: &Topic) -> Result<Self::Captures, Refusal>
    where
        Self: ReadsTopic<JOIN>,
    {
        let unmatched = || Err(Refusal::new("unmatched topic"));
        Self::read(topic.as_str()).unwrap_or_else(unmatched)
    }
}

impl<C: Channel> TypedTopic for C {}

/// A channel whose `#[join]` number `JOIN` has a pattern of captures. `#[channel]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `#[join]` with a pattern of captures",
    label = "nothing to read from its topics",
    note = "name them: `#[join(\"room:{{id}}\")]`"
)]
pub trait ReadsTopic<const JOIN: usize>: Channel {
    /// One value, a tuple of several, or `()`.
    type Captures;

    #[doc(hidden)]
    fn read(topic: &str) -> Option<Result<Self::Captures, Refusal>>;
}

/// A channel whose `#[join]` number `JOIN` reads its captures from what `T` writes. `#[channel]`
/// implements it.
#[diagnostic::on_unimplemented(
    message = "no `#[join]` of `{Self}` reads `{T}` from its topic",
    label = "not what a pattern of the channel captures",
    note = "give what the pattern captures, in its order: one value, a tuple of several, `()` for none"
)]
pub trait WritesTopic<T, const JOIN: usize>: Channel {
    #[doc(hidden)]
    const LITERALS: &'static [&'static str];

    #[doc(hidden)]
    fn texts(captures: T) -> Vec<String>;
}

/// A value that can be given for a capture that is read as a `T`: a `T`, a `&T`, or a `&str` for a
/// `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not write the capture, which is read as `{T}`",
    label = "does not write this capture",
    note = "a capture is written by its `Display`: give a `{T}` that has one, or a reference to it"
)]
pub trait WriteCapture<T> {
    #[doc(hidden)]
    fn text(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display> WriteCapture<T> for T {
    fn text(&self) -> String {
        self.to_string()
    }
}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display> WriteCapture<T> for &T {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl WriteCapture<String> for &str {
    fn text(&self) -> String {
        (*self).to_owned()
    }
}

/// A value that names a topic of the channel `C`: the result of [`TypedTopic::topic`], with its
/// error or without, or the topic's text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a topic of `{C}`",
    label = "not a topic of this channel",
    note = "write one: `{C}::topic(…)`"
)]
pub trait IntoChannelTopic<C> {
    #[doc(hidden)]
    fn into_topic(self) -> Result<Topic, TopicError>;
}

impl<C> IntoChannelTopic<C> for ChannelTopic<C> {
    fn into_topic(self) -> Result<Topic, TopicError> {
        Ok(self.topic)
    }
}

impl<C> IntoChannelTopic<C> for &ChannelTopic<C> {
    fn into_topic(self) -> Result<Topic, TopicError> {
        Ok(self.topic.clone())
    }
}

impl<C> IntoChannelTopic<C> for Result<ChannelTopic<C>, TopicError> {
    fn into_topic(self) -> Result<Topic, TopicError> {
        self.map(Topic::from)
    }
}

macro_rules! untyped {
    ($($ty:ty),*) => {$(
        impl<C> IntoChannelTopic<C> for $ty {
            fn into_topic(self) -> Result<Topic, TopicError> {
                Ok(Topic::from(self))
            }
        }
    )*};
}

untyped!(Topic, String, &str);

impl<C> IntoChannelTopic<C> for &Topic {
    fn into_topic(self) -> Result<Topic, TopicError> {
        Ok(self.clone())
    }
}

/// A topic to send to, typed by its channel: see [`Endpoint::to`].
#[must_use = "call `broadcast`"]
pub struct ToTopic<'a, C> {
    endpoint: &'a Endpoint,
    topic: Result<Topic, TopicError>,
    channel: PhantomData<fn() -> C>,
}

impl<C: Channel> ToTopic<'_, C> {
    /// As [`Endpoint::broadcast`], of an event that the channel pushes. Another one does not compile.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::broadcast`]; or [`Error::Topic`], where the topic could not be written, and then
    /// nothing is sent.
    pub async fn broadcast<E: PushedBy<C> + ?Sized>(self, event: &E) -> Result<(), Error> {
        self.endpoint.publish(None, self.topic?, event).await
    }

    /// As [`ToTopic::broadcast`], without one subscriber.
    ///
    /// # Errors
    ///
    /// As [`ToTopic::broadcast`].
    pub async fn broadcast_from<E: PushedBy<C> + ?Sized>(
        self,
        from: SubscriberId,
        event: &E,
    ) -> Result<(), Error> {
        self.endpoint.publish(Some(from), self.topic?, event).await
    }

    /// As [`ToTopic::broadcast`], to the subscribers of this node only.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] or [`Error::Topic`].
    pub fn local_broadcast<E: PushedBy<C> + ?Sized>(self, event: &E) -> Result<(), Error> {
        self.endpoint.publish_local(None, self.topic?, event)
    }
}

impl Endpoint {
    /// Names a topic of the channel `C`, to send it what `C` pushes and nothing else.
    ///
    /// ```
    /// # use channel_runtime::prelude::*;
    /// # #[derive(serde::Serialize, Event)]
    /// # #[event("moved")]
    /// # pub struct Moved { card: u64 }
    /// # pub struct Board;
    /// #[channel("board:*", pushes = [Moved])]
    /// impl Board {
    ///     #[join("board:{board}")]
    ///     fn join(board: u64) -> Self { Board }
    /// }
    ///
    /// async fn moved(endpoint: &Endpoint, board: u64, card: u64) -> Result<(), Error> {
    ///     endpoint.to(Board::topic(board)).broadcast(&Moved { card }).await
    /// }
    /// ```
    pub fn to<C: Channel>(&self, topic: impl IntoChannelTopic<C>) -> ToTopic<'_, C> {
        ToTopic {
            endpoint: self,
            topic: topic.into_topic(),
            channel: PhantomData,
        }
    }

    /// Returns the channels of the type `C` that are joined to a topic on this node, in no order that
    /// counts; none for a topic that could not be written, since none can be joined to it.
    ///
    /// Channels that only [subscribe](crate::Socket::subscribe) to the topic are not among them. What is
    /// returned may end at any time.
    pub fn channels<C: Channel>(&self, topic: impl IntoChannelTopic<C>) -> Vec<ChannelRef<C>> {
        let Ok(topic) = topic.into_topic() else {
            return Vec::new();
        };
        let subscribers = self.pubsub().subscribers(&topic).into_iter();
        let mailboxes = subscribers.filter_map(|one| one.into_any()?.downcast::<Mailbox<C>>().ok());
        mailboxes.map(ChannelRef::new).collect()
    }
}
