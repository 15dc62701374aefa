//! The socket: one for each open page.

use channel_runtime::prelude::*;
use serde::Deserialize;

use crate::room::RoomChannel;

/// The longest name, in characters.
const LONGEST_NAME: usize = 24;

/// The user of the page.
pub(crate) struct UserSocket {
    pub(crate) name: String,
}

/// The connect parameters.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
}

#[socket(channels = [RoomChannel])]
impl UserSocket {
    #[connect]
    fn connect(credentials: Credentials) -> Result<Self, Refusal> {
        let name = credentials.name.trim();
        match name.chars().count() {
            1..=LONGEST_NAME => Ok(Self {
                name: name.to_owned(),
            }),
            _ => Err(Refusal::new("a name has 1 to 24 characters")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(name: &str) -> Result<String, Refusal> {
        let credentials = Credentials {
            name: name.to_owned(),
        };
        UserSocket::connect(credentials).map(|user| user.name)
    }

    #[test]
    fn a_name_is_trimmed() {
        assert_eq!(connect("  Ada "), Ok("Ada".to_owned()));
        assert_eq!(connect(&"é".repeat(24)), Ok("é".repeat(24)));
    }

    #[test]
    fn a_blank_or_an_endless_name_is_refused() {
        for name in ["", "   ", &"x".repeat(25)] {
            assert!(connect(name).is_err(), "{name:?}");
        }
    }
}
