//! Payloads that cannot be encoded or decoded.

use thiserror::Error as ThisError;

use crate::telemetry::{line, shown};

/// The maximum length of a topic, event or ref that a client sends, in bytes.
///
/// They are kept while the channel is joined, so they have a limit apart from the frame's.
pub const MAX_NAME_BYTES: usize = 4096;

/// The reason a frame is not a valid message. Its socket is closed with the matching code.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or JSON of another shape than the protocol's.
    #[error("malformed message: {}", line(.0))]
    Malformed(String),
    /// A binary frame whose lengths do not match its size.
    #[error("malformed binary frame: {0}")]
    Binary(&'static str),
    /// A field of a binary frame that is not UTF-8.
    #[error("the {0} of a binary frame is not UTF-8")]
    Utf8(&'static str),
    /// A topic, event or ref longer than [`MAX_NAME_BYTES`].
    #[error("the {0} is over 4096 bytes")]
    TooLong(&'static str),
}

/// The reason a message cannot be sent to a client.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value cannot be serialized as JSON.
    #[error("the payload cannot be encoded as JSON: {}", shown(.0))]
    Json(serde_json::Error),
    /// A binary frame has one byte for each length, so no field may exceed 255 bytes.
    #[error("the {field} is {len} bytes long, but a binary frame holds at most 255")]
    FieldTooLong {
        /// The field: `join_ref`, `ref`, `topic`, `event` or `status`.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// The client's serializer has no binary frames (version 1 of the protocol).
    #[error("this client speaks version 1 of the protocol, which has no binary frames")]
    BinaryUnsupported,
    /// A binary push has no place for a ref, so a client could not answer it.
    #[error("a request to a client is JSON: a binary push has no ref")]
    BinaryRequest,
}

/// A payload that does not match the type a handler takes.
///
/// Its text is serde's message, for the log. A client is told only the field, and whether it is
/// missing or invalid.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{}", line(.message))]
pub struct PayloadError {
    field: Option<String>,
    message: String,
    /// The message for the client, instead of serde's, which mentions types and columns.
    told: Option<&'static str>,
    /// The fields that break a rule, each with a message.
    fields: Vec<(String, String)>,
}

impl PayloadError {
    /// Creates an error at a `path` as written by `serde_path_to_error`, where `.` is the whole
    /// payload. The name of a missing field is taken from serde's message.
    pub(crate) fn at(path: String, message: String) -> Self {
        let path = (path != ".").then_some(path);
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|m| m.split('`').next());
        let field = match (path, missing) {
            (Some(path), Some(missing)) => Some(format!("{path}.{missing}")),
            (path, missing) => path.or_else(|| missing.map(str::to_owned)),
        };
        let told = match (missing, &field) {
            (Some(_), _) => "the field is missing",
            (None, Some(_)) => "the field does not fit",
            (None, None) => "the payload does not fit",
        };
        PayloadError {
            field,
            message,
            told: Some(told),
            fields: Vec::new(),
        }
    }

    /// Creates a payload error with a custom decoder's message, which the client gets.
    pub fn new(message: impl Into<String>) -> Self {
        PayloadError {
            field: None,
            message: message.into(),
            told: None,
            fields: Vec::new(),
        }
    }

    /// Creates an error for fields that break rules: each with its path, such as `items[2].price`,
    /// and a message, which the client gets. Keeps the first 100.
    pub fn fields(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        /// A list of any length may break a rule in every element.
        const MOST: usize = 100;
        let fields: Vec<_> = fields.into_iter().take(MOST).collect();
        let named = fields.first().map(|(field, _)| field.clone());
        PayloadError {
            field: named.filter(|field| !field.is_empty()),
            message: fields
                .iter()
                .map(|(field, message)| format!("{field}: {message}"))
                .collect::<Vec<_>>()
                .join(", "),
            told: Some("a field breaks a rule"),
            fields,
        }
    }

    /// Returns the fields that break a rule, each with a message.
    pub(super) fn broken(&self) -> &[(String, String)] {
        &self.fields
    }

    pub(crate) fn not_json() -> Self {
        PayloadError::new("expected JSON, got binary data")
    }

    pub(crate) fn not_binary() -> Self {
        PayloadError::new("expected binary data, got JSON")
    }

    /// Returns the message for the client: that of a custom decoder, never serde's.
    pub(super) fn told(&self) -> &str {
        self.told.unwrap_or(&self.message)
    }

    /// Returns the path of the invalid field, such as `items[2].price`; `None` if the payload as a
    /// whole is invalid.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}
