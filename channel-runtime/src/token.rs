//! Tokens that a client carries and cannot forge. Mirrors `Phoenix.Token`.

mod keys;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use data_encoding::BASE64URL_NOPAD as BASE64;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error as ThisError;

pub(crate) use self::keys::Secrets;
pub(crate) use self::keys::random;
use self::keys::{Keys, MAC_BYTES};
use crate::{
    error::ConfigError,
    protocol::{EncodeError, Refusal},
};

/// The minimum length of a secret, in bytes.
pub const MIN_SECRET_BYTES: usize = 32;

/// The default maximum age of a token: a day.
const MAX_AGE: Duration = Duration::from_secs(86_400);

/// The meaning of a token's first byte.
const SIGNED: u8 = 1;
const ENCRYPTED: u8 = 2;

/// The size of the creation time, in milliseconds since 1970.
const TIME_BYTES: usize = 8;

/// Creates and verifies one kind of token: text with a value in it, which cannot be created or
/// altered without the server's secret.
///
/// The salt names the kind: a token made for one salt is invalid for another. [`Token::sign`]
/// leaves the value readable to anyone who holds the token; [`Token::encrypt`] does not. The text
/// has only letters, digits, `-` and `_`. Mirrors `Phoenix.Token`.
///
/// A login page signs the user's id into the page, which sends it back when its socket connects:
///
/// ```
/// use std::time::Duration;
/// use channel_runtime::{Token, prelude::*};
/// use serde::Deserialize;
///
/// /// `salt` names the kind; the secret is the endpoint's.
/// fn login(endpoint: &Endpoint) -> Token {
///     endpoint.token("user login").max_age(Duration::from_secs(14 * 86_400))
/// }
///
/// pub struct UserSocket { user_id: u64 }
///
/// #[derive(Deserialize)]
/// struct Credentials { login: Option<String> }
///
/// #[socket(channels = [Room])]
/// impl UserSocket {
///     #[connect]
///     fn connect(credentials: Credentials, endpoint: &Endpoint) -> Result<Self, Refusal> {
///         let user_id = login(endpoint).verify(credentials.login.as_deref())?;
///         Ok(UserSocket { user_id })
///     }
/// }
/// # pub struct Room;
/// # #[channel("room:*", socket = UserSocket)]
/// # impl Room {
/// #     #[join]
/// #     fn join(user: &UserSocket) -> (Self, u64) { (Room, user.user_id) }
/// # }
///
/// # let secret_of_this_application = [7; 32];
/// let endpoint = Endpoint::builder()
///     .secret_key(secret_of_this_application)
///     .socket::<UserSocket>("/socket")
///     .build()?;
/// let for_the_page: String = login(&endpoint).sign(&42_u64)?;
/// assert_eq!(login(&endpoint).verify(&*for_the_page), Ok(42_u64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Token {
    salt: Arc<str>,
    /// The first key creates tokens, all of them open tokens.
    keys: Arc<[Keys]>,
    max_age: Option<Duration>,
}

/// The reason a token, or a session in a cookie, could not be made.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum SealError {
    /// The value cannot be serialized as JSON.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A session is too large for a cookie; browsers keep 4096 bytes.
    #[error("the session's cookie is {len} bytes long, but browsers keep at most 4096")]
    CookieTooLong {
        /// The size of the cookie, in bytes.
        len: usize,
    },
    /// The operating system provides no random bytes, so nothing can be encrypted.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

/// The client gets `server error`, and the log the error.
impl From<SealError> for Refusal {
    fn from(error: SealError) -> Self {
        crate::error::server_error(&error)
    }
}

/// The reason a token is rejected. It is meant for server code; a client is told `unauthorized`
/// whatever the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no token.
    #[error("the token is missing")]
    Missing,
    /// The token was not made with these secrets and this salt, is incomplete, or holds another
    /// type.
    #[error("the token is invalid")]
    Invalid,
    /// The token is older than its [`Token::max_age`].
    #[error("the token has expired")]
    Expired,
}

impl From<TokenError> for Refusal {
    fn from(_: TokenError) -> Self {
        Refusal::new("unauthorized")
    }
}

impl Token {
    /// Creates the tokens of a salt with secrets of their own; an
    /// [`Endpoint::token`](crate::Endpoint::token) uses the endpoint's.
    ///
    /// To rotate a secret, put the new one first and keep the old one until the tokens made with it
    /// have expired: the first creates tokens, and all are tried to verify one.
    ///
    /// ```
    /// use channel_runtime::Token;
    ///
    /// # let (this_years, last_years) = ([1; 32], [2; 32]);
    /// let reset = Token::new([this_years, last_years], "password reset")?;
    /// let token = reset.encrypt("ada@example.com")?;
    /// assert_eq!(reset.decrypt(&*token), Ok("ada@example.com".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::Secret`] if there is no secret, or one under 32 bytes.
    pub fn new<S: AsRef<[u8]>>(
        secrets: impl IntoIterator<Item = S>,
        salt: &str,
    ) -> Result<Self, ConfigError> {
        let mut list = Secrets::default();
        for secret in secrets {
            list.add(secret.as_ref());
        }
        Ok(Token::of(&list.check()?, salt))
    }

    /// Creates the tokens of a salt; `secrets` has already been checked.
    pub(crate) fn of(secrets: &Secrets, salt: &str) -> Self {
        Token {
            salt: salt.into(),
            keys: secrets.derive(salt),
            max_age: Some(MAX_AGE),
        }
    }

    /// Sets the maximum age of a token; a day by default. The verifier decides, not the creator.
    /// Mirrors `:max_age`, which is in seconds there.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Accepts a token of any age. Mirrors `max_age: :infinity`.
    #[must_use]
    pub fn any_age(mut self) -> Self {
        self.max_age = None;
        self
    }

    /// Creates a token of `value`, readable to anyone who holds it. Mirrors `Phoenix.Token.sign/4`.
    ///
    /// # Errors
    ///
    /// [`SealError::Encode`] if the value cannot be serialized as JSON.
    pub fn sign<T: Serialize + ?Sized>(&self, value: &T) -> Result<String, SealError> {
        self.sign_at(value, now())
    }

    fn sign_at<T: Serialize + ?Sized>(&self, value: &T, time: u64) -> Result<String, SealError> {
        let mut bytes = vec![SIGNED];
        write(&mut bytes, value, time)?;
        let mac = self.keys[0].mac(&bytes);
        bytes.extend(mac);
        Ok(BASE64.encode(&bytes))
    }

    /// Returns the value of a [`Token::sign`] token; takes the token, or an `Option` of it.
    /// Compares in constant time. Mirrors `Phoenix.Token.verify/4`.
    ///
    /// # Errors
    ///
    /// A [`TokenError`].
    pub fn verify<'t, T: DeserializeOwned>(
        &self,
        token: impl Into<Option<&'t str>>,
    ) -> Result<T, TokenError> {
        let bytes = decode(token.into())?;
        let (signed, mac) = bytes
            .split_last_chunk::<MAC_BYTES>()
            .ok_or(TokenError::Invalid)?;
        if !self.keys.iter().any(|keys| keys.made(signed, mac)) {
            return Err(TokenError::Invalid);
        }
        let said = signed.strip_prefix(&[SIGNED]);
        self.read(said.ok_or(TokenError::Invalid)?)
    }

    /// Creates a token of `value` that only this server can read. Mirrors
    /// `Phoenix.Token.encrypt/4`.
    ///
    /// # Errors
    ///
    /// [`SealError::Encode`] if the value cannot be serialized as JSON; [`SealError::NoRandomness`].
    pub fn encrypt<T: Serialize + ?Sized>(&self, value: &T) -> Result<String, SealError> {
        self.encrypt_at(value, now())
    }

    fn encrypt_at<T: Serialize + ?Sized>(&self, value: &T, time: u64) -> Result<String, SealError> {
        let mut said = Vec::new();
        write(&mut said, value, time)?;
        let sealed = self.keys[0].seal(&said, &[ENCRYPTED])?;
        Ok(BASE64.encode(&[&[ENCRYPTED][..], &sealed].concat()))
    }

    /// Returns the value of a [`Token::encrypt`] token; takes the token, or an `Option` of it.
    /// Mirrors `Phoenix.Token.decrypt/4`.
    ///
    /// # Errors
    ///
    /// A [`TokenError`].
    pub fn decrypt<'t, T: DeserializeOwned>(
        &self,
        token: impl Into<Option<&'t str>>,
    ) -> Result<T, TokenError> {
        let bytes = decode(token.into())?;
        let sealed = bytes.strip_prefix(&[ENCRYPTED]);
        let sealed = sealed.ok_or(TokenError::Invalid)?;
        let mut keys = self.keys.iter();
        let said = keys.find_map(|keys| keys.open(sealed, &[ENCRYPTED]));
        self.read(&said.ok_or(TokenError::Invalid)?)
    }

    /// Encrypts and authenticates bytes with the secret. `context` is authenticated but readable,
    /// and must be the same when they are opened.
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    pub(crate) fn seal(&self, bytes: &[u8], context: &[u8]) -> Result<Vec<u8>, SealError> {
        self.keys[0].seal(bytes, context)
    }

    /// Opens bytes sealed by [`Token::seal`], of any age.
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    pub(crate) fn open(&self, sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
        self.keys.iter().find_map(|keys| keys.open(sealed, context))
    }

    /// Decodes the value of a genuine token.
    fn read<T: DeserializeOwned>(&self, said: &[u8]) -> Result<T, TokenError> {
        let (time, json) = said
            .split_first_chunk::<TIME_BYTES>()
            .ok_or(TokenError::Invalid)?;
        let age = Duration::from_millis(now().saturating_sub(u64::from_be_bytes(*time)));
        if self.max_age.is_some_and(|max| age > max) {
            return Err(TokenError::Expired);
        }
        serde_json::from_slice(json).map_err(|_| TokenError::Invalid)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("salt", &self.salt)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

fn write<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    value: &T,
    time: u64,
) -> Result<(), SealError> {
    bytes.extend(time.to_be_bytes());
    serde_json::to_writer(bytes, value).map_err(|error| EncodeError::Json(error).into())
}

fn decode(token: Option<&str>) -> Result<Vec<u8>, TokenError> {
    let token = token.ok_or(TokenError::Missing)?;
    // Strict: only one text decodes to the same bytes.
    BASE64
        .decode(token.as_bytes())
        .map_err(|_| TokenError::Invalid)
}

/// Returns the current time, in milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
