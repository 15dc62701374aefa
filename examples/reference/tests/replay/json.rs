//! JSON compared by value: the order of keys does not count, the digits of integers do.

use std::{collections::BTreeMap, fmt};

use serde_json::value::RawValue;

/// A JSON value that keeps its numbers as they were written.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    pub(crate) fn parse(text: &str) -> Result<Json, serde_json::Error> {
        let raw = serde_json::from_str::<&RawValue>(text)?.get();
        Ok(match raw.as_bytes() {
            b"null" => Json::Null,
            [b't' | b'f', ..] => Json::Bool(raw == "true"),
            [b'"', ..] => Json::Text(serde_json::from_str(raw)?),
            [b'[', ..] => {
                let items: Vec<&RawValue> = serde_json::from_str(raw)?;
                Json::List(items.into_iter().map(nested).collect::<Result<_, _>>()?)
            }
            [b'{', ..] => {
                let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
                let fields = fields.into_iter();
                let fields = fields.map(|(key, value)| Ok((key, nested(value)?)));
                Json::Object(fields.collect::<Result<_, serde_json::Error>>()?)
            }
            _ => Json::Number(raw.to_owned()),
        })
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns an item of a list.
    pub(crate) fn at(&self, index: usize) -> Option<&Json> {
        match self {
            Json::List(items) => items.get(index),
            _ => None,
        }
    }

    /// Returns a field of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.get(key),
            _ => None,
        }
    }
}

fn nested(raw: &RawValue) -> Result<Json, serde_json::Error> {
    Json::parse(raw.get())
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Json::Null, Json::Null) => true,
            (Json::Bool(a), Json::Bool(b)) => a == b,
            (Json::Number(a), Json::Number(b)) => a == b || same_float(a, b),
            (Json::Text(a), Json::Text(b)) => a == b,
            (Json::List(a), Json::List(b)) => a == b,
            (Json::Object(a), Json::Object(b)) => a == b,
            _ => false,
        }
    }
}

/// Returns true if two numbers that are both written as floats are equal.
fn same_float(a: &str, b: &str) -> bool {
    let is_float = |text: &str| text.contains(['.', 'e', 'E']);
    is_float(a) && is_float(b) && a.parse::<f64>().ok() == b.parse::<f64>().ok()
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(digits) => f.write_str(digits),
            Json::Text(text) => write!(f, "{text:?}"),
            Json::List(items) => f.debug_list().entries(items.iter().map(Shown)).finish(),
            Json::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key, Shown(value)));
                f.debug_map().entries(fields).finish()
            }
        }
    }
}

struct Shown<'a>(&'a Json);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Json::parse(a).unwrap() == Json::parse(b).unwrap()
    }

    #[test]
    fn keys_have_no_order_and_items_do() {
        assert!(same(r#"{"a":[1,2],"b":{}}"#, r#" {"b": {}, "a": [1, 2]} "#));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":null}"#));
    }

    #[test]
    fn text_is_compared_without_its_escapes() {
        assert!(same(r#""\u00e9\/""#, r#""é/""#));
        assert!(!same(r#""1""#, "1"));
    }

    #[test]
    fn integers_keep_all_digits_and_floats_are_values() {
        assert!(!same(
            "123456789012345678901234567890",
            "123456789012345678901234567891"
        ));
        assert!(same("1e10", "1.0e10"));
        assert!(!same("1", "1.0"), "an integer is not a float");
        assert!(!same("1.5", "1.25"));
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for text in ["", "[1,]", "{\"a\"}", "nul", "[] x"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }
}
