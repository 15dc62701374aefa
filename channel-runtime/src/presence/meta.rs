//! A meta as encoded text, and the reference that names it.

use std::{fmt, sync::Arc};

use data_encoding::BASE64URL_NOPAD;
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use thiserror::Error as ThisError;

/// Names one meta of all nodes: which node made it, and its number there. On the wire it is 16
/// characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MetaRef {
    pub(crate) inc: u64,
    pub(crate) number: u32,
}

impl MetaRef {
    fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.inc.to_be_bytes());
        bytes[8..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    fn append_to(self, text: &mut String) {
        BASE64URL_NOPAD.encode_append(&self.bytes(), text);
    }
}

impl fmt::Display for MetaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.bytes()))
    }
}

impl fmt::Debug for MetaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A meta's JSON object without its references. Cloning shares the text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MetaText(Arc<str>);

impl MetaText {
    /// Takes text that is one JSON object and names no `phx_ref` of its own: as a double key, the
    /// forged one would win in a browser.
    pub(crate) fn new(text: &str) -> Result<Self, MetaError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        reader
            .deserialize_map(FieldNames)
            .and_then(|()| reader.end())
            .map_err(|error| MetaError::Malformed(error.to_string()))?;
        Ok(MetaText(text.trim().into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the object with its reference, and that of the meta it updates.
    pub(crate) fn write(&self, own: MetaRef, previous: Option<MetaRef>, text: &mut String) {
        text.push_str("{\"phx_ref\":\"");
        own.append_to(text);
        text.push('"');
        if let Some(previous) = previous {
            text.push_str(",\"phx_ref_prev\":\"");
            previous.append_to(text);
            text.push('"');
        }
        // The text is an object: it opens with a brace, and what follows is fields or its end.
        let fields = self.0[1..].trim_start();
        if !fields.starts_with('}') {
            text.push(',');
        }
        text.push_str(fields);
    }
}

impl fmt::Debug for MetaText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot be a meta.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub(crate) enum MetaError {
    #[error("a presence meta must be a JSON object without `phx_ref` and `phx_ref_prev`: {0}")]
    Malformed(String),
}

/// Reads an object and refuses the reserved names at its top.
struct FieldNames;

impl<'de> Visitor<'de> for FieldNames {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(FieldName)?.is_some() {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        match name {
            "phx_ref" | "phx_ref_prev" => Err(E::custom(format_args!("`{name}` is reserved"))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REF: MetaRef = MetaRef { inc: 7, number: 1 };

    fn written(text: &str) -> String {
        let mut out = String::new();
        let previous = Some(MetaRef { inc: 7, number: 0 });
        MetaText::new(text).unwrap().write(REF, previous, &mut out);
        out
    }

    #[test]
    fn a_reference_is_sixteen_characters() {
        assert_eq!(REF.to_string(), "AAAAAAAAAAcAAAAB");
        let last = MetaRef {
            inc: u64::MAX,
            number: u32::MAX,
        };
        assert_eq!(last.to_string(), "________________");
    }

    #[test]
    fn the_references_are_spliced_into_the_object() {
        let refs = r#""phx_ref":"AAAAAAAAAAcAAAAB","phx_ref_prev":"AAAAAAAAAAcAAAAA""#;
        assert_eq!(written("{}"), format!("{{{refs}}}"));
        assert_eq!(written(" { } "), format!("{{{refs}}}"));
        assert_eq!(written(r#"{"a":{}}"#), format!(r#"{{{refs},"a":{{}}}}"#));
    }

    #[test]
    fn a_forged_reference_is_refused() {
        for text in [
            r#"{"phx_ref":"x"}"#,
            r#"{"a":1,"phx_ref_prev":null}"#,
            r#"{"phx\u005fref":1}"#,
        ] {
            let error = MetaText::new(text).unwrap_err();
            assert!(error.to_string().contains("is reserved"), "{error}");
        }
        assert!(MetaText::new(r#"{"a":{"phx_ref":1}}"#).is_ok());
    }

    #[test]
    fn text_that_is_no_object_is_refused() {
        for text in ["", "1", "[]", "null", "\"a\"", "{", "{}{}", "{\"a\":}"] {
            assert!(MetaText::new(text).is_err(), "{text}");
        }
    }
}
