use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    protocol::EncodeError,
    token::{self, SealError},
};

/// Values that a server keeps for a visitor, in a cookie that only the server can read and create.
///
/// A login page creates one and writes it with
/// [`CookieSession::write`](crate::CookieSession::write). A socket whose
/// [`session`](crate::SocketOptions::session) option names the cookie finds it in
/// [`ConnectInfo::session`](crate::ConnectInfo::session). Create a new one at each login, so that
/// an attacker cannot plant a session in another browser.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The id that ties CSRF tokens to this session.
    pub(crate) id: String,
    values: Map<String, Value>,
}

impl Session {
    /// Creates an empty session, whose CSRF tokens fit no other.
    ///
    /// # Errors
    ///
    /// Returns [`SealError::NoRandomness`] if the system gives no random bytes.
    pub fn new() -> Result<Self, SealError> {
        Ok(Session {
            id: BASE64URL_NOPAD.encode(&token::random::<16>()?),
            values: Map::new(),
        })
    }

    /// Returns a value, if there is one that is a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        T::deserialize(self.values.get(key)?).ok()
    }

    /// Stores a value. All of them must fit in a cookie of 4096 bytes.
    ///
    /// # Errors
    ///
    /// Returns [`SealError::Encode`] if the value cannot be encoded.
    pub fn insert<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), SealError> {
        let value = serde_json::to_value(value).map_err(EncodeError::Json)?;
        self.values.insert(key.to_owned(), value);
        Ok(())
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }
}

/// Shows only the names of the values.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.values.keys().collect();
        f.debug_tuple("Session").field(&names).finish()
    }
}
