//! The errors shared by functions of several modules.

use std::fmt;

use thiserror::Error as ThisError;

use crate::{
    protocol::{EncodeError, Refusal, VersionRequirementError},
    telemetry::shown,
};

/// The reason a message could not be sent, a channel called or a topic subscribed to.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The message cannot be encoded for its client.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A broadcast may not have reached the other nodes; this node's subscribers received it.
    #[error("the broadcast may not have reached the other nodes: {0}")]
    Publish(PublishError),
    /// The channel has ended: it left, was closed, stopped or crashed.
    #[error("the channel has ended")]
    ChannelEnded,
    /// The channel's mailbox is full; nothing was queued.
    #[error("the channel's mailbox is full")]
    MailboxFull,
    /// A topic was made of captures that its channel would not read from it.
    #[error(transparent)]
    Topic(#[from] TopicError),
}

/// A topic that its channel's `#[join]` would not read as it was written: see
/// [`TypedTopic::topic`](crate::TypedTopic::topic).
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{channel}` would read other captures from the topic {topic:?}, or does not take it")]
pub struct TopicError {
    channel: &'static str,
    topic: String,
}

impl TopicError {
    pub(crate) fn new(channel: &'static str, topic: String) -> Self {
        TopicError { channel, topic }
    }
}

impl From<TopicError> for Refusal {
    fn from(error: TopicError) -> Self {
        Error::from(error).into()
    }
}

impl From<EncodeError> for Refusal {
    fn from(error: EncodeError) -> Self {
        Error::from(error).into()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        server_error(&error)
    }
}

/// Logs an error that is the server's own, and makes the refusal that tells a client no more of it.
pub(crate) fn server_error(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(error = %shown(error), "a handler failed; the client gets \"server error\"");
    Refusal::new("server error")
}

/// Any error, which a client sees as `internal error`. The error type of a handler that calls
/// fallible functions.
///
/// `?` converts every [`std::error::Error`], `anyhow::Error`, `Box<dyn Error + Send + Sync>` and
/// text. The client gets `{"reason": "internal error"}` without the error's text; the log gets one
/// line at error level with the error and its causes. A [`Refusal`] is passed on unchanged, so a
/// handler may use both. To send a text to the client, convert it to a refusal: `.map_err(|error|
/// Refusal::new(error.to_string()))?`.
///
/// ```
/// use channel_runtime::{InternalError, prelude::*};
///
/// # pub struct Notes;
/// # #[channel("notes:*")]
/// # impl Notes {
/// # #[join] fn join() -> Self { Notes }
/// #[handle_in("read")]
/// fn read(&mut self, name: String) -> Reply<String, InternalError> {
///     if name.contains('/') {
///         return Err(Refusal::new("bad name").into());
///     }
///     Ok(std::fs::read_to_string(name)?)
/// }
/// # }
/// ```
pub struct InternalError(Outcome);

enum Outcome {
    Refused(Refusal),
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for InternalError {
    fn from(error: E) -> Self {
        InternalError(Outcome::Failed(error.into()))
    }
}

impl From<Refusal> for InternalError {
    fn from(refusal: Refusal) -> Self {
        InternalError(Outcome::Refused(refusal))
    }
}

/// Writes the error and its causes on one line. Skips a cause whose text the error above it already
/// ends with.
impl fmt::Display for InternalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match &self.0 {
            Outcome::Refused(refusal) => return write!(f, "refused: {:?}", refusal.payload()),
            Outcome::Failed(error) => error,
        };
        let mut said = error.to_string();
        f.write_str(&said)?;
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for InternalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<InternalError> for Refusal {
    /// Logs the error, once: an error becomes a refusal when the client is answered.
    fn from(error: InternalError) -> Self {
        match error.0 {
            Outcome::Refused(refusal) => refusal,
            Outcome::Failed(_) => {
                tracing::error!(error = %shown(&error), "a handler failed; the client gets \"internal error\"");
                Refusal::new("internal error")
            }
        }
    }
}

/// An invalid server-side configuration, found when the [`Endpoint`](crate::Endpoint) is built.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// A socket's path must be one or more segments, each after a `/`; a segment is text or a
    /// variable.
    #[error("the socket path {0:?} must look like \"/socket\" or \"/socket/{{tenant}}\"")]
    Path(String),
    /// Two sockets share a path.
    #[error("two sockets are mounted at {0:?}")]
    DuplicatePath(String),
    /// The adapter cannot start.
    #[error("the pubsub adapter cannot start: {0}")]
    PubSub(#[from] StartError),
    /// An entry of a list of allowed origins that would never match.
    #[error(
        "`check_origin`: the origin {0:?} must look like \"https://example.com\", \"//example.com:8080\" or \
         \"//*.example.com\", in lower case and without a path"
    )]
    Origin(String),
    /// The URL of an endpoint is malformed.
    #[error(
        "`url`: the endpoint's URL {0:?} must look like \"https://example.com\" or \"//localhost:4000\", \
         in lower case and without a path"
    )]
    Url(String),
    /// A subprotocol that no client can offer.
    #[error("`subprotocols`: {0:?} must be a word of letters, digits and `!#$%&'*+-.^_`|~`")]
    Subprotocol(String),
    /// The name of a session cookie is not valid for a cookie.
    #[error("`cookie`: {0:?} must be a word of letters, digits and `!#$%&'*+-.^_`|~`")]
    Cookie(String),
    /// A version requirement in a configuration file is malformed.
    #[error("`serializers`: {0}")]
    Versions(#[source] VersionRequirementError),
    /// A time that is longer than a year.
    #[error("`{0}` must be less than a year")]
    TooLong(&'static str),
    /// A limit or a time is zero, which would refuse or end everything.
    #[error("`{0}` must be more than zero")]
    Zero(&'static str),
    /// A chunk of an upload does not fit in a frame of its socket.
    #[error(
        "the upload {upload:?} has a `chunk_size` of {chunk_size} bytes, but a message of its socket \
         has at most {most}: lower it, or raise `max_frame_size` and `max_message_size`"
    )]
    ChunkSize {
        /// The upload's name.
        upload: &'static str,
        /// The size of its chunks, in bytes.
        chunk_size: u32,
        /// The maximum size of a chunk, in bytes.
        most: usize,
    },
    /// An upload allows more files than a page can be shown with every change.
    #[error(
        "the upload {upload:?} has `max_entries` of {max_entries}, but at most {most} are allowed"
    )]
    MaxEntries {
        /// The upload's name.
        upload: &'static str,
        /// The number of files it allows at once.
        max_entries: u32,
        /// The maximum number of files at once.
        most: u32,
    },
    /// An upload allows more files than its client can join channels: each file has a channel of
    /// its own, in addition to the one that takes the upload.
    #[error(
        "the upload {upload:?} has {max_entries} `max_entries`, each with a channel of its own beside the \
         one that takes them, but its socket has {max_channels} `max_channels`: lower the one, or raise the \
         other"
    )]
    EntriesOverChannels {
        /// The upload's name.
        upload: &'static str,
        /// The number of files it allows at once.
        max_entries: u32,
        /// The maximum number of channels of a connection.
        max_channels: usize,
    },
    /// A secret key is too short, and could be guessed.
    #[error("a secret key must be at least 32 bytes long")]
    Secret,
    /// The endpoint has no secret key, and could not generate one.
    #[error("the operating system gives no random bytes; give the endpoint a secret key")]
    NoRandomness,
}

/// The reason a broadcast may not have reached the other nodes. The subscribers of this node
/// received it.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum PublishError {
    /// The engine is unreachable; the message was not sent.
    #[error("the pubsub engine is out of reach")]
    Unreachable,
    /// The connection ended before the engine confirmed the message: it may have arrived, or not.
    #[error("the connection to the pubsub engine ended before it confirmed the message")]
    Unconfirmed,
    /// Too many messages wait for the engine; the message was not sent.
    #[error("the publish queue is full")]
    QueueFull,
    /// The message is larger than the engine or the configuration allows; it was not sent.
    #[error("the message takes {len} bytes, but at most {limit} can be published")]
    TooLarge {
        /// The size of the message with its topic and event, in bytes.
        len: usize,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// The engine refused the message.
    #[error("the pubsub engine refused the message: {}", shown(.0))]
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

impl PublishError {
    /// Returns the error as a label for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            PublishError::Unreachable => "unreachable",
            PublishError::Unconfirmed => "unconfirmed",
            PublishError::QueueFull => "queue_full",
            PublishError::TooLarge { .. } => "too_large",
            PublishError::Refused(_) => "refused",
        }
    }
}

/// The reason an [`Adapter`](crate::pubsub::Adapter) cannot start: a wrong URL, wrong credentials,
/// or an unreachable server.
#[derive(Debug, ThisError)]
#[error("{message}")]
pub struct StartError {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StartError {
    /// Creates an error with a custom message.
    pub fn new(message: impl Into<String>) -> Self {
        StartError {
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}
