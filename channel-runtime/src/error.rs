//! The errors a user meets, each worded once.

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error as ThisError;

use crate::telemetry::{line, shown};
use crate::{
    Binary, Payload,
    pubsub::{PublishError, StartError},
    wire::VersionRequirementError,
};

/// Why something could not be sent, called or subscribed.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The value cannot be serialized as JSON.
    #[error("the payload cannot be encoded as JSON: {}", shown(.0))]
    Encode(#[source] serde_json::Error),
    /// A binary frame has one byte for each length, so no field may pass 255 bytes.
    #[error("the {field} is {len} bytes long, but a binary frame holds at most 255")]
    FieldTooLong {
        /// Which field: `join_ref`, `ref`, `topic`, `event` or `status`.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// The client's serializer has no binary frames (version 1 of the protocol).
    #[error("this client speaks version 1 of the protocol, which has no binary frames")]
    BinaryUnsupported,
    /// A broadcast may not have reached the other nodes; this node's subscribers got it.
    #[error("the broadcast may not have reached the other nodes: {0}")]
    Publish(#[source] PublishError),
    /// The channel has ended: it left, was closed, stopped or crashed.
    #[error("the channel has ended")]
    ChannelEnded,
    /// The channel's inbox is full; nothing was queued.
    #[error("the channel's inbox is full")]
    InboxFull,
    /// A session is too large for a cookie; browsers keep 4096 bytes.
    #[error("the session's cookie is {len} bytes long, but browsers keep at most 4096")]
    CookieTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The operating system gives no random bytes, so nothing can be encrypted.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

/// A payload that does not fit the type a handler takes.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{}", line(.message))]
pub struct PayloadError {
    field: Option<String>,
    message: String,
}

impl PayloadError {
    /// `path` as `serde_path_to_error` writes it: `.` is the payload as a whole. A field that is
    /// missing is known by name only, from serde's own words.
    pub(crate) fn at(path: String, message: String) -> Self {
        let path = (path != ".").then_some(path);
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|m| m.split('`').next());
        let field = match (path, missing) {
            (Some(path), Some(missing)) => Some(format!("{path}.{missing}")),
            (path, missing) => path.or(missing.map(str::to_owned)),
        };
        PayloadError { field, message }
    }

    /// A payload error in the words of a decoder of your own.
    pub fn new(message: impl Into<String>) -> Self {
        PayloadError {
            field: None,
            message: message.into(),
        }
    }

    pub(crate) fn not_json() -> Self {
        PayloadError::new("expected JSON, got binary data")
    }

    pub(crate) fn not_binary() -> Self {
        PayloadError::new("expected binary data, got JSON")
    }

    /// The path of the field that does not fit, such as `items[2].price`; `None` when it is the
    /// payload as a whole.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

/// Why a client's connect, join or push is refused: the payload of an error reply.
///
/// [`Refusal::new`] gives `{"reason": …}`. Implement `From<YourError> for Refusal` and `?` works
/// in every handler that answers a client. Mirrors Phoenix's `{:error, reason}`.
///
/// ```
/// use channel_runtime::Refusal;
///
/// let refusal = Refusal::new("too long").with("limit", 280);
/// assert_eq!(refusal.payload().as_json(), Some(r#"{"limit":280,"reason":"too long"}"#));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal(Shape);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Fields(Map<String, Value>),
    Payload(Payload),
}

impl Refusal {
    /// A refusal that says `{"reason": reason}`.
    pub fn new(reason: impl Into<String>) -> Self {
        Refusal(Shape::Fields(Map::from_iter([(
            "reason".to_owned(),
            reason.into().into(),
        )])))
    }

    /// A refusal that says nothing: `{}`, as a bare `:error`.
    pub fn empty() -> Self {
        Refusal(Shape::Fields(Map::new()))
    }

    /// Any value as the payload of the refusal. A value that cannot be JSON is logged, and the
    /// client gets the reason `server error`.
    pub fn json<T: Serialize>(value: &T) -> Self {
        match Payload::json(value) {
            Ok(payload) => Refusal(Shape::Payload(payload)),
            Err(error) => Refusal::from(error),
        }
    }

    /// Binary data as the payload of the refusal.
    pub fn binary(data: impl Into<Binary>) -> Self {
        Refusal(Shape::Payload(Payload::binary(data.into().0)))
    }

    /// Any [`Payload`], as it is.
    pub fn raw(payload: Payload) -> Self {
        Refusal(Shape::Payload(payload))
    }

    /// Adds a field. On a refusal made from a payload this is a no-op: its shape is the caller's.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        if let Shape::Fields(fields) = &mut self.0 {
            fields.insert(field.into(), value.into());
        }
        self
    }

    /// The `reason`, where it is text.
    pub fn reason(&self) -> Option<&str> {
        match &self.0 {
            Shape::Fields(fields) => fields.get("reason").and_then(Value::as_str),
            Shape::Payload(_) => None,
        }
    }

    /// The payload that the client gets.
    pub fn payload(&self) -> Payload {
        match &self.0 {
            Shape::Payload(payload) => payload.clone(),
            // Text keys and JSON values cannot fail to be JSON; should they, `{}` is the honest rest.
            Shape::Fields(fields) => Payload::json(fields).unwrap_or_default(),
        }
    }
}

impl From<PayloadError> for Refusal {
    fn from(error: PayloadError) -> Self {
        let refusal = Refusal::new("invalid payload");
        let refusal = match &error.field {
            Some(field) => refusal.with("field", field.as_str()),
            None => refusal,
        };
        refusal.with("message", error.message)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        tracing::error!(error = %shown(&error), "a handler failed; the client gets \"server error\"");
        Refusal::new("server error")
    }
}

/// A server-side configuration that cannot work, found when the [`Endpoint`](crate::Endpoint) is
/// built.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// A socket's path is `/` and a segment, once or more; a segment is text or a variable.
    #[error("the socket path {0:?} must look like \"/socket\" or \"/socket/{{tenant}}\"")]
    Path(String),
    /// Two sockets share a path.
    #[error("two sockets are mounted at {0:?}")]
    DuplicatePath(String),
    /// The way to the other nodes cannot be taken.
    #[error("the pubsub adapter cannot start: {0}")]
    PubSub(#[from] StartError),
    /// An entry of a list of allowed origins that would never match.
    #[error(
        "`check_origin`: the origin {0:?} must look like \"https://example.com\", \"//example.com:8080\" or \
         \"//*.example.com\", in lower case and without a path"
    )]
    Origin(String),
    /// The URL of an endpoint that is none.
    #[error(
        "`url`: the endpoint's URL {0:?} must look like \"https://example.com\" or \"//localhost:4000\", \
         in lower case and without a path"
    )]
    Url(String),
    /// A subprotocol that no client could offer.
    #[error("`subprotocols`: {0:?} must be a word of letters, digits and `!#$%&'*+-.^_`|~`")]
    Subprotocol(String),
    /// A session cookie whose name no cookie can have.
    #[error("`cookie`: {0:?} must be a word of letters, digits and `!#$%&'*+-.^_`|~`")]
    Cookie(String),
    /// A version requirement of a configuration file that cannot be read.
    #[error("`serializers`: {0}")]
    Versions(#[source] VersionRequirementError),
    /// A time that is longer than a year.
    #[error("`{0}` must be less than a year")]
    TooLong(&'static str),
    /// A limit or a time of zero would refuse or end everything.
    #[error("`{0}` must be more than zero")]
    Zero(&'static str),
    /// A chunk of an upload that no frame of its socket can carry.
    #[error(
        "the upload {upload:?} has a `chunk_size` of {chunk_size} bytes, but a message of its socket \
         has at most {most}: lower it, or raise `max_frame_size` and `max_message_size`"
    )]
    ChunkSize {
        /// The upload's name.
        upload: &'static str,
        /// Its chunks, in bytes.
        chunk_size: u32,
        /// The most bytes of a chunk.
        most: usize,
    },
    /// A secret key that can be guessed protects nothing.
    #[error("a secret key must be at least 32 bytes long")]
    Secret,
    /// Without a secret key an endpoint makes one, and could not.
    #[error("the operating system gives no random bytes; give the endpoint a secret key")]
    NoRandomness,
}
