//! JSON values that the protocol only compares and echoes.

use std::sync::Arc;

use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::{DecodeError, MAX_NAME_BYTES};

/// A ref, topic or event as a client sent it: usually text, but the protocol allows any JSON value,
/// and it is echoed unchanged.
///
/// Two terms are equal when they are the same value: `1` and `"1"` differ, and so do `1` and
/// `1.0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Term {
    /// `null`, or a field the serializer does not have.
    #[default]
    Null,
    /// Text.
    Text(SmolStr),
    /// Any other JSON value, in its original text.
    Json(Arc<str>),
}

impl Term {
    /// Returns the text, or `None` for anything else.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Term::Text(text) => Some(text),
            Term::Null | Term::Json(_) => None,
        }
    }

    /// Returns true if this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Term::Null)
    }

    /// Parses one JSON value.
    pub(super) fn from_raw(raw: &RawValue, field: &'static str) -> Result<Self, DecodeError> {
        let json = raw.get();
        if json.len() > MAX_NAME_BYTES + 2 {
            return Err(DecodeError::TooLong(field));
        }
        if json == "null" {
            return Ok(Term::Null);
        }
        let Some(inner) = json
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return Ok(Term::Json(json.into()));
        };
        if !inner.contains('\\') {
            return Ok(Term::Text(SmolStr::new(inner)));
        }
        serde_json::from_str::<String>(json)
            .map(|text| Term::Text(text.into()))
            .map_err(|error| DecodeError::Malformed(format!("{field}: {error}")))
    }

    /// Appends the value as JSON.
    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Term::Null => out.push_str("null"),
            Term::Text(text) => write_json_str(out, text),
            Term::Json(json) => out.push_str(json),
        }
    }

    /// Returns the length of the JSON, assuming that nothing in it is escaped.
    pub(super) fn json_len(&self) -> usize {
        match self {
            Term::Null => 4,
            Term::Text(text) => text.len() + 2,
            Term::Json(json) => json.len(),
        }
    }

    /// Returns the value as a field of a binary frame, where every value is text and null is empty.
    pub(super) fn as_field(&self) -> &str {
        match self {
            Term::Null => "",
            Term::Text(text) => text,
            Term::Json(json) => json,
        }
    }
}

impl From<&str> for Term {
    fn from(text: &str) -> Self {
        Term::Text(SmolStr::new(text))
    }
}

impl From<&crate::protocol::Topic> for Term {
    fn from(topic: &crate::protocol::Topic) -> Self {
        Term::Text(topic.smol().clone())
    }
}

/// Appends `text` as a JSON string.
pub(super) fn write_json_str(out: &mut String, text: &str) {
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else if let Ok(escaped) = serde_json::to_string(text) {
        // Text always serializes.
        out.push_str(&escaped);
    }
}

/// Returns true if a byte needs no escape in a JSON string.
pub(super) fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}
