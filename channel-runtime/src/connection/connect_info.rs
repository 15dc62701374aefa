use std::{fmt, net::SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::ClientId;
#[cfg(feature = "token")]
use super::Session;

/// How a client connected: what the transport knows of it, and was asked to keep.
///
/// Every connection keeps its own, so a socket names what it reads, with
/// [`SocketOptions::connect_info`](crate::SocketOptions::connect_info); the rest is left empty.
/// Mirrors the `connect_info` of `c:Phoenix.Socket.connect/3`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The transport: `websocket`, `longpoll`, `test` for the test kit, or the name that a
    /// transport of your own gives itself.
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

/// Fields that most connections do without.
#[derive(Clone, Default)]
struct More {
    headers: HeaderMap,
    auth_token: Option<String>,
    #[cfg(feature = "token")]
    session: Option<Session>,
}

/// What a socket wants to know of its clients' requests: an entry of the `:connect_info` option.
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
    /// A client of this transport, of which nothing else is known.
    pub(crate) fn over(transport: &'static str) -> Self {
        ConnectInfo {
            transport,
            ..ConnectInfo::default()
        }
    }

    /// A header that the socket has asked for, where it is text; the first of several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.more.as_ref()?.headers.get(name)?.to_str().ok()
    }

    /// All headers that the socket has asked for. Those that may hold secrets are marked
    /// sensitive, so that they do not show in logs.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.more.iter().flat_map(|more| more.headers.iter())
    }

    /// The auth token of the client, where the socket's
    /// [`auth_token`](crate::SocketOptions::auth_token) option is on. Mirrors `auth_token`.
    pub fn auth_token(&self) -> Option<&str> {
        self.more.as_ref()?.auth_token.as_deref()
    }

    /// The session in the cookie that the socket's [`session`](crate::SocketOptions::session)
    /// option names, where the client proved with a CSRF token that it is its own. Mirrors
    /// `session`.
    #[cfg(feature = "token")]
    pub fn session(&self) -> Option<&Session> {
        self.more.as_ref()?.session.as_ref()
    }

    /// As if the client had this session: for tests and transports of your own.
    #[cfg(feature = "token")]
    #[must_use]
    pub fn with_session(mut self, session: Session) -> Self {
        self.more().session = Some(session);
        self
    }

    /// As if the client had sent this header: for tests and transports of your own.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more().headers.append(name, value);
        self
    }

    /// As if the client had sent this auth token: for tests and transports of your own.
    #[must_use]
    pub fn with_auth_token(mut self, token: impl Into<String>) -> Self {
        self.more().auth_token = Some(token.into());
        self
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

/// Secrets do not show: no query, no token.
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
