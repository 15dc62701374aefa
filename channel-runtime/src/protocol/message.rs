//! The messages that frames carry, and the contract of a serializer.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;

use super::{Broadcast, DecodeError, EncodeError, Payload, Term};

/// How many bytes before a frame's text are for the header of a transport's frame, at most.
#[cfg(any(feature = "websocket", test))]
pub(crate) const HEADER_ROOM: usize = ROOM.len();

/// Placeholder for the header.
pub(super) const ROOM: &str = "          ";

/// The events that belong to the protocol itself.
pub(crate) mod reserved {
    pub(crate) const JOIN: &str = "phx_join";
    pub(crate) const LEAVE: &str = "phx_leave";
    pub(crate) const CLOSE: &str = "phx_close";
    pub(crate) const ERROR: &str = "phx_error";
    pub(crate) const REPLY: &str = "phx_reply";
    pub(crate) const HEARTBEAT: &str = "heartbeat";
    /// The topic that heartbeats are sent on.
    pub(crate) const PHOENIX: &str = "phoenix";
    pub(crate) const PREFIX: &str = "phx_";
}

/// One frame of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text frame; its bytes are UTF-8.
    Text(ByteString),
    /// A binary frame.
    Binary(Bytes),
}

impl Frame {
    /// The number of payload bytes.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Returns whether the frame has no payload.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload, whatever the kind of the frame.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Frame::Text(text) => text.as_bytes(),
            Frame::Binary(bytes) => bytes,
        }
    }
}

/// A message from a client. Mirrors `Phoenix.Socket.Message`.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Names the join this message belongs to; null matches any, and a join without one takes the
    /// messages of its topic whatever theirs is.
    pub join_ref: Term,
    /// The client's own number for the message; echoed in the reply.
    pub reference: Term,
    /// The topic: text, unless the client is broken.
    pub topic: Term,
    /// The event: text, unless the client is broken.
    pub event: Term,
    /// The payload.
    pub payload: Payload,
}

/// An answer to one message of a client. Mirrors `Phoenix.Socket.Reply`.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The join_ref of the channel.
    pub join_ref: &'a Term,
    /// The ref of the message that is answered.
    pub reference: &'a Term,
    /// The topic the message came on.
    pub topic: &'a Term,
    /// `ok`, `error`, or any other word the client knows.
    pub status: &'a str,
    /// The response.
    pub payload: &'a Payload,
}

/// A message to one client that answers nothing. Mirrors a `Phoenix.Socket.Message` without ref.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// The join_ref of the channel.
    pub join_ref: &'a Term,
    /// Null for a push; the join_ref again for `phx_close` and `phx_error`.
    pub reference: &'a Term,
    /// The channel's topic.
    pub topic: &'a str,
    /// The event's name.
    pub event: &'a str,
    /// The payload.
    pub payload: &'a Payload,
}

/// How messages become frames: one implementation a version of the protocol.
///
/// [`V1`](super::V1) and [`V2`](super::V2) are the protocol's own. Mirrors `Phoenix.Socket.Serializer`
/// (`decode!/2`, `encode!/1`, `fastlane!/1`).
pub trait Serializer: Send + Sync + 'static {
    /// Reads one frame of a client.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] when the frame is no message of this version.
    fn decode(&self, frame: Frame) -> Result<Message, DecodeError>;

    /// Writes a reply.
    ///
    /// # Errors
    ///
    /// [`EncodeError::FieldTooLong`] or [`EncodeError::BinaryUnsupported`], before anything is sent.
    fn reply(&self, reply: Reply<'_>) -> Result<Frame, EncodeError>;

    /// Writes a push.
    ///
    /// # Errors
    ///
    /// As [`Serializer::reply`].
    fn push(&self, push: Push<'_>) -> Result<Frame, EncodeError>;

    /// Writes a broadcast: once for all subscribers that share this serializer.
    ///
    /// # Errors
    ///
    /// As [`Serializer::reply`]; the subscribers of this serializer are then left out.
    fn broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError>;

    /// As [`Serializer::decode`], of a text frame that is only lent: copies of it what is kept.
    ///
    /// # Errors
    ///
    /// As [`Serializer::decode`].
    #[doc(hidden)]
    fn decode_text(&self, text: &str) -> Result<Message, DecodeError> {
        self.decode(Frame::Text(text.into()))
    }

    /// A reply that is text, behind room for the header of a transport's frame, which spares a
    /// copy; `None` where [`Serializer::reply`] is to be asked.
    #[doc(hidden)]
    fn reply_behind_room(&self, _reply: Reply<'_>) -> Option<String> {
        None
    }

    /// As `reply_behind_room`, of a push.
    #[doc(hidden)]
    fn push_behind_room(&self, _push: Push<'_>) -> Option<String> {
        None
    }

    /// Returns whether a join without a join_ref goes by its ref; otherwise its join_ref stays null.
    #[doc(hidden)]
    fn names_joins(&self) -> bool {
        true
    }

    /// The same messages without binary frames, for transports that carry none to a client, such
    /// as long-poll. `None` unless implemented: such a transport then makes of a binary frame
    /// what it can.
    fn text_only(&self) -> Option<Arc<dyn Serializer>> {
        None
    }
}

/// A serializer as connections share it; which one it is shows in its address.
#[derive(Clone)]
pub(crate) struct SharedSerializer(Arc<dyn Serializer>);

impl SharedSerializer {
    pub(crate) fn new(serializer: Arc<dyn Serializer>) -> Self {
        SharedSerializer(serializer)
    }

    pub(crate) fn is(&self, other: &SharedSerializer) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl std::ops::Deref for SharedSerializer {
    type Target = dyn Serializer;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for SharedSerializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serializer")
    }
}
