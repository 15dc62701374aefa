use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{error::Error, protocol::EncodeError, token};

/// Values that a server remembers of a visitor, in a cookie that only the server can read and make.
///
/// A login page makes one and writes it with [`CookieSession::write`](crate::CookieSession::write); a socket whose
/// [`session`](crate::SocketOptions::session) option names the cookie finds it in
/// [`ConnectInfo::session`](crate::ConnectInfo::session). Make a new one at each login, so that
/// an attacker cannot plant a session in another browser.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Ties CSRF tokens to this session.
    pub(crate) id: String,
    values: Map<String, Value>,
}

impl Session {
    /// An empty session, which no other shares its CSRF tokens with.
    ///
    /// # Errors
    ///
    /// [`Error::NoRandomness`].
    pub fn new() -> Result<Self, Error> {
        Ok(Session {
            id: BASE64URL_NOPAD.encode(&token::random::<16>()?),
            values: Map::new(),
        })
    }

    /// A value, where there is one that is a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        T::deserialize(self.values.get(key)?).ok()
    }

    /// Remembers a value. All of them must fit in a cookie of 4096 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`].
    pub fn insert<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        let value = serde_json::to_value(value).map_err(EncodeError::Json)?;
        self.values.insert(key.to_owned(), value);
        Ok(())
    }

    /// Forgets a value.
    pub fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }
}

/// The names of the values alone.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.values.keys().collect();
        f.debug_tuple("Session").field(&names).finish()
    }
}
