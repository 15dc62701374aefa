//! The client's side of a request's connection.

use axum::http::{Extensions, HeaderMap, Uri, header, uri::Authority};

use super::{Forwarded, Https, Rules};

/// The address that the client used, according to the trusted headers: a request extension for
/// handlers behind [`ForceSsl`](super::ForceSsl).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientAddress {
    /// True if its connection is encrypted.
    pub https: bool,
    /// The requested host, without the port.
    pub host: Option<String>,
    /// The requested port, if known.
    pub port: Option<u16>,
}

impl ClientAddress {
    pub(super) fn of(
        rules: &Rules,
        uri: &Uri,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Self {
        let forwarded = |header, name| {
            let trusted = rules.trusted.contains(&header);
            trusted.then(|| last(headers, name)).flatten()
        };
        let proto = forwarded(Forwarded::Proto, "x-forwarded-proto");
        let https = match rules.trusted.contains(&Forwarded::Proto) {
            true => proto.is_some_and(|proto| is_secure(&proto)),
            false => extensions.get::<Https>().is_some(),
        };
        let asked = forwarded(Forwarded::Host, "x-forwarded-host")
            .and_then(|host| authority(&host))
            .or_else(|| asked(uri, headers));
        let port = forwarded(Forwarded::Port, "x-forwarded-port")
            .and_then(|port| port.parse().ok())
            .or_else(|| asked.as_ref().and_then(Authority::port_u16));
        ClientAddress {
            https,
            host: asked.map(|asked| asked.host().to_ascii_lowercase()),
            port,
        }
    }
}

/// Returns the last value of the last header of this name: the one the nearest proxy has set or
/// added.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value
        .rsplit(',')
        .next()
        .map(|value| value.trim().to_owned())
}

fn is_secure(proto: &str) -> bool {
    proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss")
}

/// Returns the requested host and port, from the target or the `host` header.
fn asked(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let header = || authority(headers.get(header::HOST)?.to_str().ok()?);
    uri.authority().cloned().or_else(header)
}

fn authority(text: &str) -> Option<Authority> {
    let authority = Authority::try_from(text).ok()?;
    // A user name would become part of the redirect.
    (!text.contains('@') && !authority.host().is_empty()).then_some(authority)
}
