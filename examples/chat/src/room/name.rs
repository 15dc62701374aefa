//! The name of a room: the part of the topic behind `room:`.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// The longest name, in bytes.
const LONGEST: usize = 24;

/// A name that looks well behind a `#`: lower-case letters, digits and dashes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RoomName(String);

/// A text that is no room's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAName;

impl FromStr for RoomName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=LONGEST).contains(&text.len()) && text.chars().all(allowed);
        fits.then(|| RoomName(text.to_owned())).ok_or(NotAName)
    }
}

/// For the log: a client is told which part of the topic does not fit.
impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a room's name has 1 to {LONGEST} lower-case letters, digits and dashes"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_and_dashes_make_a_name() {
        for name in ["lobby", "rust-2024", "x", &"a".repeat(LONGEST)] {
            assert_eq!(name.parse(), Ok(RoomName(name.to_owned())));
        }
    }

    #[test]
    fn anything_else_does_not() {
        for name in ["", "Lobby", "a b", "é", "a:b", &"a".repeat(LONGEST + 1)] {
            assert_eq!(name.parse::<RoomName>(), Err(NotAName), "{name:?}");
        }
    }
}
