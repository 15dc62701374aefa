//! The key that a presence is listed under.

use std::{borrow::Borrow, fmt, sync::Arc};

use thiserror::Error as ThisError;

/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 255;

/// The names that every JavaScript object has. The stock client looks keys up in an object, so
/// such a key throws in the browser of everybody in the room (CVE-2026-56812).
const FORBIDDEN: [&str; 13] = [
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "prototype",
    "toLocaleString",
    "toString",
    "valueOf",
];

/// A key that every stock client can hold: at most [`MAX_KEY`] bytes, and no name that JavaScript
/// objects have already. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(Arc<str>);

impl Key {
    pub(crate) fn new(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY {
            return Err(KeyError::TooLong { len: text.len() });
        }
        if FORBIDDEN.contains(&text) {
            return Err(KeyError::Forbidden {
                key: text.to_owned(),
            });
        }
        Ok(Key(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Why a text cannot be a key.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub(crate) enum KeyError {
    /// JavaScript clients throw when they hear of it.
    #[error("the presence key {key:?} is a property of every JavaScript object and breaks clients")]
    Forbidden { key: String },
    #[error("the presence key is {len} bytes long, but at most {MAX_KEY} are allowed")]
    TooLong { len: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_breaks_a_javascript_client_is_refused_by_name() {
        for key in FORBIDDEN {
            let error = Key::new(key).unwrap_err();
            assert!(error.to_string().contains(&format!("{key:?}")), "{error}");
        }
    }

    #[test]
    fn every_other_text_up_to_the_limit_is_a_key() {
        for key in [
            "",
            "7",
            "a b,\"c\"",
            "proto",
            "__proto",
            "ConstructoR",
            "é:/",
        ] {
            assert_eq!(Key::new(key).unwrap().as_str(), key);
        }
        assert!(Key::new(&"k".repeat(MAX_KEY)).is_ok());
        let error = Key::new(&"k".repeat(MAX_KEY + 1)).unwrap_err();
        assert_eq!(error, KeyError::TooLong { len: MAX_KEY + 1 });
    }
}
