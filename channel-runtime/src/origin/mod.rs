//! The check of the `Origin` header, which decides which pages may connect.

mod pattern;

use std::{fmt, str::FromStr, sync::Arc};

use axum::http::{HeaderMap, header, request::Parts};

pub(crate) use self::pattern::{Host, OriginPattern};
use crate::{error::ConfigError, telemetry};

/// The origin of the connecting page, as its browser reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Returns the scheme: `https`, or one such as `app` for pages that come from no server.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the host without its port; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, or the scheme's default if the browser left it out. `None` for schemes
    /// without one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

/// A text that is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is `scheme://host` or `scheme://host:port`")]
pub struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    /// Parses `scheme://host` or `scheme://host:port`, and nothing else: a browser never sends a
    /// path or a user, and `null` is not an origin.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError)?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let Host { host, port } = rest.parse()?;
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return Err(OriginError);
        }
        Ok(Origin {
            scheme: scheme.to_owned(),
            host,
            port: port.or_else(|| default_port(scheme)),
        })
    }
}

/// Returns the default port of a scheme.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The origins whose pages may connect, checked against the `Origin` header. It keeps foreign pages
/// from using their visitor's cookies and network. Mirrors the `:check_origin` option.
///
/// A request without the header passes every check, since only browsers send it, and only browsers
/// need the check. A request whose header is malformed or `null` passes only [`CheckOrigin::off`].
///
/// The default is [`CheckOrigin::host`].
///
/// ```
/// use channel_runtime::{CheckOrigin, SocketOptions};
///
/// let options = SocketOptions::default()
///     .check_origin(CheckOrigin::list(["https://example.com", "//*.example.org:8080"]));
/// ```
#[derive(Clone)]
pub struct CheckOrigin(Rule);

#[derive(Clone)]
enum Rule {
    Off,
    Host,
    Connection,
    List(Arc<[OriginPattern]>),
    /// A malformed entry of a list; refused when the endpoint is built.
    Unreadable(String),
    By(Arc<dyn Fn(&Origin) -> bool + Send + Sync>),
}

impl CheckOrigin {
    /// Allows every page. Mirrors `check_origin: false`.
    ///
    /// For sockets that trust nothing a browser sends on its own: neither cookies nor the client's
    /// address.
    pub fn off() -> Self {
        CheckOrigin(Rule::Off)
    }

    /// Allows pages of the endpoint's own host, on any port and scheme: the host of
    /// [`EndpointBuilder::url`](crate::EndpointBuilder::url). Mirrors `check_origin: true`.
    ///
    /// Without a configured URL the host is that of the request (Phoenix uses `localhost`), so that
    /// a program works on 127.0.0.1, on `localhost` and in its first deployment, while foreign
    /// pages are still refused. However, a page determines the request's host: an attacker who
    /// controls a name server can make a browser send that host (DNS rebinding), and a proxy may
    /// replace it with its own. Configure the URL in production.
    pub fn host() -> Self {
        CheckOrigin(Rule::Host)
    }

    /// Allows pages of the same scheme, host and port that they connect to. Mirrors `check_origin:
    /// :conn`.
    ///
    /// The request's scheme is that of its URI if it has one, as over HTTP/2 or from tower layers,
    /// otherwise that of [`EndpointBuilder::url`](crate::EndpointBuilder::url), otherwise `http`.
    pub fn connection() -> Self {
        CheckOrigin(Rule::Connection)
    }

    /// Allows pages of these origins, such as `https://example.com`, `//example.com:8080`,
    /// `//*.example.org` (which includes `example.org`) or `https://*`. An entry without a scheme
    /// or a port allows any; `https://example.com` allows port 443 only. Hosts are compared byte by
    /// byte. Mirrors `check_origin: [ … ]`.
    ///
    /// A malformed entry is a [`ConfigError`] when the endpoint is built.
    pub fn list<I>(origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut patterns = Vec::new();
        for origin in origins {
            match origin.as_ref().parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(_) => return CheckOrigin(Rule::Unreadable(origin.as_ref().to_owned())),
            }
        }
        CheckOrigin(Rule::List(patterns.into()))
    }

    /// Allows pages whose origin the function allows. It runs at every connect; if it panics, the
    /// page is refused. Mirrors `check_origin: {module, function, args}`.
    pub fn by(allows: impl Fn(&Origin) -> bool + Send + Sync + 'static) -> Self {
        CheckOrigin(Rule::By(Arc::new(allows)))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.0 {
            Rule::Unreadable(entry) => Err(ConfigError::Origin(entry.clone())),
            _ => Ok(()),
        }
    }

    /// Returns true if the page that sends the request may connect; `url` is the endpoint's own.
    pub(crate) fn allows_request(&self, url: Option<&OriginPattern>, request: &Parts) -> bool {
        let mut sent = request.headers.get_all(header::ORIGIN).iter();
        let (Some(header), false) = (sent.next(), matches!(self.0, Rule::Off)) else {
            return true;
        };
        let origin = header.to_str().ok().and_then(|text| text.parse().ok());
        let allowed = sent.next().is_none()
            && origin.is_some_and(|origin| self.allows(&origin, url, request));
        if !allowed {
            telemetry::origin_refused(header, self);
        }
        allowed
    }

    fn allows(&self, origin: &Origin, url: Option<&OriginPattern>, request: &Parts) -> bool {
        match &self.0 {
            Rule::Off => true,
            Rule::Host => match url {
                Some(url) => url.host == origin.host,
                None => request_host(request).is_some_and(|own| own.host == origin.host),
            },
            Rule::Connection => request_host(request).is_some_and(|own| {
                let scheme = request.uri.scheme_str();
                let scheme = scheme.or_else(|| url?.scheme.as_deref());
                let scheme = scheme.unwrap_or("http");
                origin.host == own.host
                    && origin.scheme == scheme
                    && origin.port == own.port.or_else(|| default_port(scheme))
            }),
            Rule::List(patterns) => patterns.iter().any(|pattern| pattern.matches(origin)),
            Rule::Unreadable(_) => false,
            Rule::By(allows) => telemetry::caught("check_origin", || allows(origin)) == Some(true),
        }
    }
}

impl Default for CheckOrigin {
    fn default() -> Self {
        CheckOrigin::host()
    }
}

impl fmt::Debug for CheckOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Off => f.write_str("off"),
            Rule::Host => f.write_str("host"),
            Rule::Connection => f.write_str("connection"),
            Rule::List(patterns) => f.debug_list().entries(patterns.iter()).finish(),
            Rule::Unreadable(entry) => write!(f, "unreadable {entry:?}"),
            Rule::By(_) => f.write_str("by a function"),
        }
    }
}

/// Returns the host of a request: that of its URI, or of its `Host` header.
fn request_host(request: &Parts) -> Option<Host> {
    let authority = request.uri.authority().map(|authority| authority.as_str());
    authority
        .or_else(|| host_header(&request.headers))?
        .parse()
        .ok()
}

fn host_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}
