//! The messages that frames carry, and the contract of a serializer.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;

use super::{Broadcast, DecodeError, EncodeError, Payload, Term};

/// The maximum number of bytes reserved before a frame's text for the header of a transport's
/// frame.
#[cfg(any(feature = "websocket", test))]
pub(crate) const HEADER_ROOM: usize = ROOM.len();

/// A placeholder for the header.
pub(super) const ROOM: &str = "          ";

/// The events of the protocol itself.
pub(crate) mod reserved {
    pub(crate) const JOIN: &str = "phx_join";
    pub(crate) const LEAVE: &str = "phx_leave";
    pub(crate) const CLOSE: &str = "phx_close";
    pub(crate) const ERROR: &str = "phx_error";
    pub(crate) const REPLY: &str = "phx_reply";
    pub(crate) const HEARTBEAT: &str = "heartbeat";
    /// The topic of heartbeats.
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
    /// Returns the number of payload bytes.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Returns true if the frame has no payload.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the payload of either kind of frame.
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
    /// The id of the join this message belongs to. Null matches any, and a join without one takes
    /// all messages of its topic.
    pub join_ref: Term,
    /// The client's ref for the message; echoed in the reply.
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
    /// The ref of the answered message.
    pub reference: &'a Term,
    /// The topic the message came on.
    pub topic: &'a Term,
    /// `ok`, `error`, or any other word the client knows.
    pub status: &'a str,
    /// The response.
    pub payload: &'a Payload,
}

/// A message to one client that is not a reply. Mirrors a `Phoenix.Socket.Message` without ref.
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

/// A codec between messages and frames: one implementation per protocol version.
///
/// [`V1`](super::V1) and [`V2`](super::V2) are built in. Mirrors `Phoenix.Socket.Serializer`
/// (`decode!/2`, `encode!/1`, `fastlane!/1`).
pub trait Serializer: Send + Sync + 'static {
    /// Decodes one frame of a client.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] when the frame is not a message of this version.
    fn decode(&self, frame: Frame) -> Result<Message, DecodeError>;

    /// Encodes a reply.
    ///
    /// # Errors
    ///
    /// [`EncodeError::FieldTooLong`] or [`EncodeError::BinaryUnsupported`]; nothing is sent then.
    fn reply(&self, reply: Reply<'_>) -> Result<Frame, EncodeError>;

    /// Encodes a push.
    ///
    /// # Errors
    ///
    /// As [`Serializer::reply`].
    fn push(&self, push: Push<'_>) -> Result<Frame, EncodeError>;

    /// Encodes a broadcast, once for all subscribers that share this serializer.
    ///
    /// # Errors
    ///
    /// As [`Serializer::reply`]; the subscribers of this serializer then do not receive it.
    fn broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError>;

    /// As [`Serializer::decode`], for a borrowed text frame; copies only the parts that are kept.
    ///
    /// # Errors
    ///
    /// As [`Serializer::decode`].
    #[doc(hidden)]
    fn decode_text(&self, text: &str) -> Result<Message, DecodeError> {
        self.decode(Frame::Text(text.into()))
    }

    /// Encodes a text reply behind room for the header of a transport's frame, which saves a copy;
    /// `None` if [`Serializer::reply`] must be used.
    #[doc(hidden)]
    fn reply_behind_room(&self, _reply: Reply<'_>) -> Option<String> {
        None
    }

    /// As `reply_behind_room`, for a push.
    #[doc(hidden)]
    fn push_behind_room(&self, _push: Push<'_>) -> Option<String> {
        None
    }

    /// Returns true if a join without a join_ref is identified by its ref; otherwise its join_ref
    /// stays null.
    #[doc(hidden)]
    fn names_joins(&self) -> bool {
        true
    }

    /// Returns a variant without binary frames, for transports that carry none to a client, such as
    /// long polling. `None` by default: such a transport then converts binary frames in its own
    /// way.
    fn text_only(&self) -> Option<Arc<dyn Serializer>> {
        None
    }
}

/// A serializer as connections share it, identified by its address.
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
