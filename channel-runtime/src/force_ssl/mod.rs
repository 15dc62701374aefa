//! Redirects plain HTTP to HTTPS, and tells browsers to stay there. Mirrors `force_ssl` and
//! `Plug.SSL`.
//!
//! A layer for a whole router, sockets included:
//!
//! ```
//! use std::time::Duration;
//! use axum::{Extension, Router, routing::get};
//! use channel_runtime::force_ssl::{ForceSsl, Forwarded, Hsts, Https};
//!
//! let app: Router = Router::new().route("/", get(|| async { "hello" }));
//!
//! // Behind a proxy that speaks TLS and sets `x-forwarded-proto` itself:
//! let behind_proxy = app.clone().layer(ForceSsl::new().trust(Forwarded::Proto));
//!
//! // Without a proxy: one router for the plain port, one for the TLS port.
//! let force = ForceSsl::new()
//!     .host("example.com")
//!     .hsts(Hsts::default().max_age(Duration::from_secs(3600)).include_subdomains());
//! let plain = app.clone().layer(force.clone());
//! let tls = app.layer(force).layer(Extension(Https));
//! # let _: [Router; 3] = [behind_proxy, plain, tls];
//! ```

mod request;
mod service;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use axum::http::{HeaderValue, Uri, uri::Authority};
use tower_layer::Layer;

pub use self::{request::ClientAddress, service::ForceSslService};

/// A request extension that marks the connection as encrypted. The router of a TLS listener gets it
/// with `.layer(axum::Extension(Https))`, outside of [`ForceSsl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Https;

/// A header set by a proxy. Any client can set it too, so trust it only behind a proxy that sets it
/// on every request, whatever the client sent. If it lists several values, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forwarded {
    /// `x-forwarded-proto`: `https` or `wss` when the client's connection is encrypted. Without
    /// the header it counts as plain.
    Proto,
    /// `x-forwarded-host`: the host that the client requested.
    Host,
    /// `x-forwarded-port`: the port that the client connected to. Handlers find it in
    /// [`ClientAddress`]; a redirect does not use the port of plain HTTP.
    Port,
}

/// The `strict-transport-security` header: how long a browser must use HTTPS only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Hsts {
    max_age: Duration,
    include_subdomains: bool,
    preload: bool,
}

impl Default for Hsts {
    /// Returns the default: one year, this host only.
    fn default() -> Self {
        Hsts {
            max_age: Duration::from_secs(31_536_000),
            include_subdomains: false,
            preload: false,
        }
    }
}

impl Hsts {
    /// Sets how long a browser remembers it, in whole seconds; a year by default. Zero makes it
    /// forget. Mirrors `:expires`.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Includes subdomains. Mirrors `:subdomains`.
    pub fn include_subdomains(mut self) -> Self {
        self.include_subdomains = true;
        self
    }

    /// Lets browsers ship the host in their preload lists. Mirrors `:preload`.
    pub fn preload(mut self) -> Self {
        self.preload = true;
        self
    }

    fn header(&self) -> Option<HeaderValue> {
        let mut text = format!("max-age={}", self.max_age.as_secs());
        if self.include_subdomains {
            text += "; includeSubDomains";
        }
        if self.preload {
            text += "; preload";
        }
        HeaderValue::try_from(text).ok()
    }
}

/// Returns true if a request is excluded, given its host without the port and its URI.
type Exclude = Arc<dyn Fn(&str, &Uri) -> bool + Send + Sync>;

/// A tower layer that answers plain HTTP with a redirect to HTTPS, 301 for GET and HEAD and 307 for
/// other methods, and adds [`Hsts`] to responses over HTTPS.
///
/// A connection is encrypted when [`Https`] or a trusted [`Forwarded::Proto`] says so. Requests to
/// `localhost` are passed through unless [`ForceSsl::exclude_hosts`] names other hosts.
#[derive(Clone)]
#[must_use]
pub struct ForceSsl(Arc<Rules>);

#[derive(Clone)]
struct Rules {
    host: Option<Authority>,
    hsts: Option<HeaderValue>,
    trusted: HashSet<Forwarded>,
    excluded: HashSet<String>,
    exclude: Option<Exclude>,
}

impl Default for ForceSsl {
    fn default() -> Self {
        Self::new()
    }
}

impl ForceSsl {
    /// Creates a layer that redirects to the request's own host, with the default [`Hsts`], and
    /// trusts no header.
    pub fn new() -> Self {
        ForceSsl(Arc::new(Rules {
            host: None,
            hsts: Hsts::default().header(),
            trusted: HashSet::new(),
            excluded: HashSet::from(["localhost".to_owned()]),
            exclude: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Redirects to this host, with a port if it is not 443, rather than to the request's own, so
    /// that a client cannot choose the target. Mirrors `:host`.
    ///
    /// # Panics
    ///
    /// If it is not a host with an optional port.
    pub fn host(self, host: &str) -> Self {
        let authority = Authority::try_from(host).ok();
        let authority = authority.filter(|authority| !authority.as_str().contains('@'));
        // Documented panic: the host is a constant or configuration of the program.
        let authority = authority.unwrap_or_else(|| panic!("{host:?} is not a host"));
        self.with(|rules| rules.host = Some(authority))
    }

    /// Sends this `strict-transport-security` header.
    pub fn hsts(self, hsts: Hsts) -> Self {
        self.with(|rules| rules.hsts = hsts.header())
    }

    /// Sends no `strict-transport-security` header. Mirrors `hsts: false`.
    pub fn without_hsts(self) -> Self {
        self.with(|rules| rules.hsts = None)
    }

    /// Trusts a header of the proxy in front; none by default. Mirrors `:rewrite_on`.
    pub fn trust(self, header: Forwarded) -> Self {
        self.with(|rules| {
            rules.trusted.insert(header);
        })
    }

    /// Passes requests to these hosts through; `localhost` by default. Mirrors `:exclude`.
    pub fn exclude_hosts<H: Into<String>>(self, hosts: impl IntoIterator<Item = H>) -> Self {
        let hosts = hosts
            .into_iter()
            .map(|host| host.into().to_ascii_lowercase());
        self.with(|rules| rules.excluded = hosts.collect())
    }

    /// Passes requests through for which `exclude` returns true, given the host without its port
    /// and the URI: for example, the path of a health check. Mirrors a function for `:exclude`.
    ///
    /// ```
    /// use channel_runtime::force_ssl::ForceSsl;
    ///
    /// let force = ForceSsl::new().exclude_if(|_host, uri| uri.path() == "/health");
    /// ```
    pub fn exclude_if(self, exclude: impl Fn(&str, &Uri) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.exclude = Some(Arc::new(exclude)))
    }
}

impl<S> Layer<S> for ForceSsl {
    type Service = ForceSslService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ForceSslService::new(inner, self.0.clone())
    }
}

impl fmt::Debug for ForceSsl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForceSsl")
            .field("host", &self.0.host)
            .field("hsts", &self.0.hsts)
            .field("trusted", &self.0.trusted)
            .field("excluded", &self.0.excluded)
            .finish_non_exhaustive()
    }
}
