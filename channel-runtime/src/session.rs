//! Sessions in a cookie, shared by pages and sockets.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use crate::{
    connection::{Params, Session},
    endpoint::Endpoint,
    error::ConfigError,
    token::SealError,
};

/// The maximum size of a cookie that every browser keeps, in bytes, with its name and attributes.
const MAX_COOKIE_BYTES: usize = 4096;

/// The default lifetime of a session, in seconds: two weeks.
const MAX_AGE_S: u64 = 14 * 24 * 60 * 60;

/// The parameter with which a page proves that it belongs to this session.
const CSRF_PARAM: &str = "_csrf_token";

/// The cookie that holds the [`Session`]s of an application: its name and their lifetime. Mirrors
/// `Plug.Session` with an encrypted cookie store.
///
/// A login sets the session cookie, and gives the page its CSRF token:
///
/// ```
/// use axum::{extract::State, http::header::SET_COOKIE, response::IntoResponse};
/// use channel_runtime::{CookieSession, Endpoint, SealError, Session, SocketOptions};
///
/// fn cookie() -> CookieSession {
///     CookieSession::new("_my_app").expect("a cookie's name")
/// }
///
/// async fn login(State(endpoint): State<Endpoint>) -> Result<impl IntoResponse, String> {
///     let session = || -> Result<_, SealError> {
///         let mut session = Session::new()?;
///         session.insert("user_id", &42)?;
///         let csrf = cookie().csrf_token(&endpoint, &session)?;
///         Ok((cookie().write(&endpoint, &session)?, csrf))
///     };
///     let (set_cookie, csrf) = session().map_err(|error| error.to_string())?;
///     let page = format!(r#"<meta name="csrf" content="{csrf}">"#);
///     Ok(([(SET_COOKIE, set_cookie)], page))
/// }
///
/// // The page connects with `new Socket("/socket", {params: {_csrf_token: …}})`.
/// let options = SocketOptions::default().session(cookie());
/// ```
///
/// Pages and sockets share sessions across nodes and restarts if the endpoint has a
/// [`secret_key`](crate::EndpointBuilder::secret_key). In a configuration file it is `{"cookie":
/// "_my_app", "max_age_s": 1209600}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Config")]
pub struct CookieSession {
    cookie: String,
    max_age_s: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    cookie: String,
    #[serde(default = "max_age_s")]
    max_age_s: u64,
}

fn max_age_s() -> u64 {
    MAX_AGE_S
}

impl TryFrom<Config> for CookieSession {
    type Error = ConfigError;

    fn try_from(config: Config) -> Result<Self, ConfigError> {
        let age = Duration::from_secs(config.max_age_s);
        Ok(CookieSession::new(config.cookie)?.max_age(age))
    }
}

impl CookieSession {
    /// Creates sessions in a cookie of this name, with a lifetime of two weeks.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Cookie`] if the name is not valid for a cookie.
    pub fn new(cookie: impl Into<String>) -> Result<Self, ConfigError> {
        let cookie = cookie.into();
        if HeaderName::from_bytes(cookie.as_bytes()).is_err() {
            return Err(ConfigError::Cookie(cookie));
        }
        Ok(CookieSession {
            cookie,
            max_age_s: MAX_AGE_S,
        })
    }

    /// Sets the lifetime of a session after it was written; two weeks by default. Whole seconds.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age_s = age.as_secs();
        self
    }

    /// Returns the session of a request, if it has a genuine one that has not expired.
    pub fn read(&self, endpoint: &Endpoint, request: &HeaderMap) -> Option<Session> {
        let tokens = endpoint
            .token(&self.salt("session"))
            .max_age(Duration::from_secs(self.max_age_s));
        let cookies = request.get_all(header::COOKIE).iter();
        let mut cookies = cookies
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        cookies.find_map(|(name, value)| {
            let ours = name == self.cookie;
            ours.then(|| tokens.decrypt(value).ok()).flatten()
        })
    }

    /// Returns the value of a `set-cookie` header that stores the session in the visitor's browser:
    /// for this site only, hidden from scripts, and over TLS only if the endpoint's
    /// [`url`](crate::EndpointBuilder::url) is `https`.
    ///
    /// # Errors
    ///
    /// [`SealError::CookieTooLong`] if the session does not fit in a cookie; [`SealError::NoRandomness`].
    pub fn write(&self, endpoint: &Endpoint, session: &Session) -> Result<HeaderValue, SealError> {
        let value = endpoint.token(&self.salt("session")).encrypt(session)?;
        self.set_cookie(endpoint, &value, self.max_age_s)
    }

    /// Returns the value of a `set-cookie` header that makes the browser forget its session.
    ///
    /// # Errors
    ///
    /// [`SealError::CookieTooLong`] if the cookie's name alone is too long.
    pub fn forget(&self, endpoint: &Endpoint) -> Result<HeaderValue, SealError> {
        self.set_cookie(endpoint, "", 0)
    }

    fn set_cookie(
        &self,
        endpoint: &Endpoint,
        value: &str,
        max_age_s: u64,
    ) -> Result<HeaderValue, SealError> {
        let scheme = endpoint.url().and_then(|url| url.scheme.as_deref());
        let secure = if scheme == Some("https") {
            "; Secure"
        } else {
            ""
        };
        let cookie = format!(
            "{}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}",
            self.cookie
        );
        let too_long = SealError::CookieTooLong { len: cookie.len() };
        if cookie.len() > MAX_COOKIE_BYTES {
            return Err(too_long);
        }
        // The name, base64 and ASCII attributes always form a valid header value.
        let mut value = HeaderValue::from_str(&cookie).map_err(|_| too_long)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Returns a CSRF token for a page of this session. Its socket sends the token back as the
    /// parameter `_csrf_token`; its forms may send it in any field. Each call returns a different
    /// token, and all of them are valid.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandomness`].
    pub fn csrf_token(&self, endpoint: &Endpoint, session: &Session) -> Result<String, SealError> {
        endpoint.token(&self.salt("csrf")).encrypt(&session.id)
    }

    /// Returns true if a token was made for a page of this session.
    pub fn is_csrf_token(&self, endpoint: &Endpoint, session: &Session, token: &str) -> bool {
        let tokens = endpoint.token(&self.salt("csrf")).any_age();
        // A token cannot be forged for a chosen id, so the comparison's timing reveals nothing.
        tokens.decrypt::<String>(token) == Ok(session.id.clone())
    }

    /// Returns the session of a request whose page has its CSRF token. A foreign page sends the
    /// cookie too, but cannot read the token.
    pub(crate) fn of_page(
        &self,
        endpoint: &Endpoint,
        request: &HeaderMap,
        params: &Params,
    ) -> Option<Session> {
        let session = self.read(endpoint, request)?;
        let token = params.get(CSRF_PARAM).unwrap_or_default();
        let known = self.is_csrf_token(endpoint, &session, &token);
        if !known {
            tracing::debug!("a session is left out: `_csrf_token` is not its own");
        }
        known.then_some(session)
    }

    fn salt(&self, what: &str) -> String {
        format!("channel {what} {}", self.cookie)
    }
}

#[cfg(test)]
#[path = "session/tests.rs"]
mod tests;
