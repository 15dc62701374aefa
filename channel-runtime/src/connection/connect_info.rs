use std::{fmt, net::SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::ClientId;
#[cfg(feature = "token")]
use super::Session;

/// The details of a client's connection, as far as its transport knows and keeps them.
///
/// Every connection keeps its own, so a socket selects the ones it reads, with
/// [`SocketOptions::connect_info`](crate::SocketOptions::connect_info); the rest is left empty.
/// Mirrors the `connect_info` of `c:Phoenix.Socket.connect/3`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The transport: `websocket`, `longpoll`, `test` for the test kit, or the name of your own
    /// transport.
    pub transport: &'static str,
    /// The client's address, when the server was started with
    /// `into_make_service_with_connect_info::<SocketAddr>()`. Behind a proxy it is the proxy's.
    pub peer_addr: Option<SocketAddr>,
    /// The path and query of the request, with the parameters' values as the client sent them.
    pub uri: Option<String>,
    /// The `user-agent` header.
    pub user_agent: Option<String>,
    pub(crate) client: ClientId,
    more: Option<Box<More>>,
}

/// Fields that are empty for most connections.
#[derive(Clone, Default)]
struct More {
    headers: HeaderMap,
    auth_token: Option<String>,
    #[cfg(feature = "token")]
    session: Option<Session>,
}

/// A detail of its clients' requests that a socket asks for: an entry of the `:connect_info`
/// option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectInfoKey {
    /// [`ConnectInfo::peer_addr`]. Mirrors `:peer_data`.
    PeerAddr,
    /// [`ConnectInfo::uri`]. Mirrors `:uri`.
    Uri,
    /// [`ConnectInfo::user_agent`]. Mirrors `:user_agent`.
    UserAgent,
    /// The headers `traceparent`, `tracestate` and `baggage`, in [`ConnectInfo::header`]. Mirrors
    /// `:trace_context_headers`.
    TraceContext,
    /// The headers that begin with `x-`. Mirrors `:x_headers`.
    XHeaders,
    /// The headers that begin with `sec-websocket-`. Mirrors `:sec_websocket_headers`.
    SecWebsocketHeaders,
}

impl ConnectInfo {
    /// Creates the details of a client of this transport, with everything else empty.
    pub(crate) fn over(transport: &'static str) -> Self {
        ConnectInfo {
            transport,
            ..ConnectInfo::default()
        }
    }

    /// Returns a header that the socket has asked for, if it is text; the first of several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.more.as_ref()?.headers.get(name)?.to_str().ok()
    }

    /// Returns all headers that the socket has asked for. Those that may hold secrets are marked
    /// sensitive, so that they do not show in logs.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.more.iter().flat_map(|more| more.headers.iter())
    }

    /// Returns the auth token of the client, if the socket's
    /// [`auth_token`](crate::SocketOptions::auth_token) option is on. Mirrors `auth_token`.
    pub fn auth_token(&self) -> Option<&str> {
        self.more.as_ref()?.auth_token.as_deref()
    }

    /// Returns the session in the cookie that the socket's
    /// [`session`](crate::SocketOptions::session) option names, if the client proved with a CSRF
    /// token that the session is its own. Mirrors `session`.
    #[cfg(feature = "token")]
    pub fn session(&self) -> Option<&Session> {
        self.more.as_ref()?.session.as_ref()
    }

    /// Adds a session, as if the client had it: for tests and your own transports.
    #[cfg(feature = "token")]
    #[must_use]
    pub fn with_session(mut self, session: Session) -> Self {
        self.more().session = Some(session);
        self
    }

    /// Adds a header, as if the client had sent it: for tests and your own transports.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more().headers.append(name, value);
        self
    }

    /// Adds an auth token, as if the client had sent it: for tests and your own transports.
    #[must_use]
    pub fn with_auth_token(mut self, token: impl Into<String>) -> Self {
        self.more().auth_token = Some(token.into());
        self
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

/// Hides secrets: the query and the token.
impl fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.uri.as_deref().and_then(|uri| uri.split('?').next());
        let headers: Vec<_> = self.headers().collect();
        f.debug_struct("ConnectInfo")
            .field("transport", &self.transport)
            .field("peer_addr", &self.peer_addr)
            .field("path", &path)
            .field("user_agent", &self.user_agent)
            .field("headers", &headers)
            .field(
                "auth_token",
                &self.auth_token().map(|_| format_args!("[FILTERED]")),
            )
            .finish()
    }
}
