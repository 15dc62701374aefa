//! Origin patterns, as written in a configuration.

use std::{fmt, str::FromStr};

use super::{Origin, OriginError, default_port};

/// A host and a port, as written in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl FromStr for Host {
    type Err = OriginError;

    /// Parses `example.com`, `example.com:8080` or `[::1]:8080`.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let end_of_host = match text.starts_with('[') {
            true => text.find(']').ok_or(OriginError)? + 1,
            false => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at(end_of_host);
        let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\\"<>^`{|}".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(OriginError);
        }
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| OriginError)?)
            }
            _ => return Err(OriginError),
        };
        Ok(Host {
            host: host.to_owned(),
            port,
        })
    }
}

/// An entry of a list of allowed origins, or the URL of an endpoint.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OriginPattern {
    pub(crate) scheme: Option<String>,
    /// The host; a leading `*.` adds all its subdomains, and `*` matches every host.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl OriginPattern {
    pub(super) fn matches(&self, origin: &Origin) -> bool {
        self.scheme
            .as_deref()
            .is_none_or(|scheme| scheme == origin.scheme())
            && self.port.is_none_or(|port| Some(port) == origin.port())
            && self.takes_host(origin.host())
    }

    fn takes_host(&self, host: &str) -> bool {
        if self.host == "*" {
            return true;
        }
        let Some(apex) = self.host.strip_prefix("*.") else {
            return self.host == host;
        };
        host.strip_suffix(apex)
            .is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    }

    /// Returns true if it matches one host only.
    pub(crate) fn is_exact(&self) -> bool {
        !self.host.contains('*')
    }
}

impl FromStr for OriginPattern {
    type Err = OriginError;

    /// Parses `https://example.com`, `//example.com:8080` or `//*.example.org`. Lower case only, as
    /// browsers send it: an upper-case pattern would never match.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("//").ok_or(OriginError)?;
        let scheme = match scheme.strip_suffix(':') {
            Some(scheme) => Some(scheme),
            None if scheme.is_empty() => None,
            None => return Err(OriginError),
        };
        let Host { host, port } = rest.parse()?;
        let wildcards = host.matches('*').count();
        let wildcard_leads = host == "*" || host.starts_with("*.");
        if (wildcards > 0 && !(wildcards == 1 && wildcard_leads && host != "*."))
            || text.bytes().any(|byte| byte.is_ascii_uppercase())
        {
            return Err(OriginError);
        }
        if let Some(scheme) = scheme {
            // Checks the scheme by the rules for a browser's origin.
            let _origin: Origin = format!("{scheme}://x").parse()?;
        }
        Ok(OriginPattern {
            port: port.or_else(|| default_port(scheme?)),
            scheme: scheme.map(str::to_owned),
            host,
        })
    }
}

impl fmt::Debug for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}:")?;
        }
        write!(f, "//{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
