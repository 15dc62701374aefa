//! Which pages may connect: the `Origin` header, and what it is held against.

mod pattern;

use std::{fmt, str::FromStr, sync::Arc};

use axum::http::{HeaderMap, header, request::Parts};

pub(crate) use self::pattern::{Host, OriginPattern};
use crate::{error::ConfigError, telemetry};

/// Where the page that connects comes from, as its browser says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// The scheme: `https`, or `app` and the like for pages that come from no server.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host, without its port; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; that of the scheme where the browser left it out. `None` for schemes without one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for Origin {
    type Err = ();

    /// `scheme://host` or `scheme://host:port`, and nothing else: a browser never sends a path or
    /// a user, and `null` is no origin.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (scheme, rest) = text.split_once("://").ok_or(())?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let Host { host, port } = rest.parse()?;
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return Err(());
        }
        Ok(Origin {
            scheme: scheme.to_owned(),
            host,
            port: port.or_else(|| default_port(scheme)),
        })
    }
}

/// The port of a scheme, where a URL gives none.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Which pages may connect, by their `Origin` header: what keeps a stranger's page from using the
/// cookies and the network of its visitor. Mirrors the `:check_origin` option.
///
/// A request without the header passes every check: only browsers send it, and only they must be
/// kept from it. One whose header cannot be read, or is `null`, passes none but
/// [`CheckOrigin::off`].
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
    /// An entry of a list that cannot be read; refused when the endpoint is built.
    Unreadable(String),
    By(Arc<dyn Fn(&Origin) -> bool + Send + Sync>),
}

impl CheckOrigin {
    /// Every page may connect. Mirrors `check_origin: false`.
    ///
    /// For sockets that trust nothing a browser sends by itself: neither cookies nor the
    /// client's address.
    pub fn off() -> Self {
        CheckOrigin(Rule::Off)
    }

    /// Pages of the endpoint's own host may connect, on whatever port and scheme: the host of
    /// [`EndpointBuilder::url`](crate::EndpointBuilder::url). Mirrors `check_origin: true`.
    ///
    /// Without a configured URL it is the host that the request names (Phoenix would take
    /// `localhost`), so that a program works on 127.0.0.1, on `localhost` and in its first
    /// deployment alike, while a stranger's page is refused in each of them. The request's
    /// host is what a page says as well, so a stranger who controls a name server can make a
    /// browser say that host (DNS rebinding), and a proxy may put its own in its place: configure
    /// the URL in production.
    pub fn host() -> Self {
        CheckOrigin(Rule::Host)
    }

    /// Pages that were served from where they connect to: same scheme, host and port. Mirrors
    /// `check_origin: :conn`.
    ///
    /// The request's scheme is that of its URI where it has one, which is HTTP/2 and what tower
    /// layers set, otherwise the one of [`EndpointBuilder::url`](crate::EndpointBuilder::url),
    /// otherwise `http`.
    pub fn connection() -> Self {
        CheckOrigin(Rule::Connection)
    }

    /// Pages of these origins, such as `https://example.com`, `//example.com:8080`,
    /// `//*.example.org` (which takes `example.org` too) or `https://*`. What an entry leaves
    /// out, scheme or port, may be any; `https://example.com` stands for port 443 alone. Hosts
    /// are compared byte for byte. Mirrors `check_origin: [ … ]`.
    ///
    /// An entry that cannot be read is a [`ConfigError`] when the endpoint is built.
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

    /// Pages whose origin the function allows. It runs for every connect; one that panics
    /// refuses. Mirrors `check_origin: {module, function, args}`.
    pub fn by(allows: impl Fn(&Origin) -> bool + Send + Sync + 'static) -> Self {
        CheckOrigin(Rule::By(Arc::new(allows)))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.0 {
            Rule::Unreadable(entry) => Err(ConfigError::Origin(entry.clone())),
            _ => Ok(()),
        }
    }

    /// Returns whether the page that sends the request may connect; `url` is the endpoint's own.
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

/// The host a request is for: of its URI, or of its `Host` header.
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
