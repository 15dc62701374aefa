//! Checks a client's opening handshake (RFC 6455).

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header, request::Parts,
    },
    response::{IntoResponse, Response},
};
use thiserror::Error as ThisError;

/// The supported version of the WebSocket protocol.
const VERSION: &str = "13";

/// The reason a request opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub(super) enum Fault {
    #[error("a WebSocket request is a GET")]
    Method,
    #[error("the `connection` header must contain `upgrade`")]
    Connection,
    #[error("the `upgrade` header must contain `websocket`")]
    Upgrade,
    #[error("WebSockets need HTTP/1.1")]
    Http,
    #[error("a WebSocket request has one `host` header")]
    Host,
    #[error("a WebSocket request has no body")]
    Body,
    #[error("the `sec-websocket-version` header must be `13`")]
    Version,
    #[error("a WebSocket request has one `sec-websocket-key` header, 16 bytes in base64")]
    Key,
    #[error("this connection cannot be upgraded; WebSockets need HTTP/1.1")]
    Fixed,
}

impl Fault {
    /// Returns true if the request asks for a WebSocket, but is invalid.
    pub(super) fn is_broken(self) -> bool {
        !matches!(self, Fault::Method | Fault::Connection | Fault::Upgrade)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let why = self.to_string();
        if self != Fault::Version {
            return (StatusCode::BAD_REQUEST, why).into_response();
        }
        let wanted = [
            (header::SEC_WEBSOCKET_VERSION, VERSION),
            (header::UPGRADE, "websocket"),
            (header::CONNECTION, "upgrade"),
        ];
        (StatusCode::UPGRADE_REQUIRED, wanted, why).into_response()
    }
}

/// Returns the key of a valid handshake.
pub(super) fn check(request: &Parts) -> Result<HeaderValue, Fault> {
    let headers = &request.headers;
    if request.method != Method::GET {
        return Err(Fault::Method);
    }
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return Err(Fault::Connection);
    }
    if !has_token(headers, header::UPGRADE, "websocket") {
        return Err(Fault::Upgrade);
    }
    if request.version != Version::HTTP_11 {
        return Err(Fault::Http);
    }
    if only(headers, header::HOST).is_none_or(HeaderValue::is_empty) {
        return Err(Fault::Host);
    }
    let lengths = headers.get_all(header::CONTENT_LENGTH);
    if headers.contains_key(header::TRANSFER_ENCODING) || lengths.iter().any(|length| length != "0")
    {
        return Err(Fault::Body);
    }
    if only(headers, header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(Fault::Version);
    }
    only(headers, header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .cloned()
        .ok_or(Fault::Key)
}

/// Returns a header that must not appear twice.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Returns true if these are 16 bytes in base64. The unused bits may be set, because some clients'
/// encoders set them, and the key is only echoed.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==")
        .is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit))
}

/// Returns true if a header lists a token, ignoring case.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const VALID: [(&str, &str); 5] = [
        ("host", "example.com"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// Returns a valid request, except that the header of this name has these values.
    fn with(name: &str, values: &[&str]) -> Parts {
        let mut request = Request::new(());
        let kept = VALID.iter().filter(|(known, _)| *known != name);
        for (name, value) in kept
            .copied()
            .chain(values.iter().map(|value| (name, *value)))
        {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request.into_parts().0
    }

    #[test]
    fn each_header_is_as_the_rfc_wants_it() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for (name, values, fault) in [
            ("x-none", &[][..], None),
            ("connection", &["keep-alive, Upgrade"], None),
            ("connection", &["keep-alive", "UPGRADE"], None),
            ("connection", &[], Some(Fault::Connection)),
            ("connection", &["upgraded"], Some(Fault::Connection)),
            ("upgrade", &["h2c, WebSocket"], None),
            ("upgrade", &["h2c", "websocket"], None),
            ("upgrade", &[], Some(Fault::Upgrade)),
            ("upgrade", &["websocket/13"], Some(Fault::Upgrade)),
            ("host", &[], Some(Fault::Host)),
            ("host", &[""], Some(Fault::Host)),
            ("host", &["a", "a"], Some(Fault::Host)),
            ("content-length", &["0"], None),
            ("content-length", &["1"], Some(Fault::Body)),
            ("content-length", &["0", "7"], Some(Fault::Body)),
            ("transfer-encoding", &["chunked"], Some(Fault::Body)),
            ("sec-websocket-version", &[], Some(Fault::Version)),
            ("sec-websocket-version", &["12"], Some(Fault::Version)),
            ("sec-websocket-version", &["13, 12"], Some(Fault::Version)),
            ("sec-websocket-version", &["13", "13"], Some(Fault::Version)),
            ("sec-websocket-key", &[], Some(Fault::Key)),
            ("sec-websocket-key", &[key, key], Some(Fault::Key)),
            ("sec-websocket-key", &["", key], Some(Fault::Key)),
            (
                "sec-websocket-key",
                &["dGhlIHNhbXBsZSBub25jZQ"],
                Some(Fault::Key),
            ),
            (
                "sec-websocket-key",
                &["dGhlIHNhbXBsZSBub25jZSE="],
                Some(Fault::Key),
            ),
            (
                "sec-websocket-key",
                &["dGhlIHNhbXBsZSBub25j!Q=="],
                Some(Fault::Key),
            ),
            ("sec-websocket-key", &["AAAA"], Some(Fault::Key)),
            // The last digit has four bits too many.
            ("sec-websocket-key", &["AAAAAAAAAAAAAAAAAAAAAB=="], None),
        ] {
            let checked = check(&with(name, values));
            assert_eq!(checked.err(), fault, "{name}: {values:?}");
        }
    }

    #[test]
    fn another_method_and_an_older_http_are_no_handshake() {
        let mut parts = with("x-none", &[]);
        parts.version = Version::HTTP_10;
        assert_eq!(check(&parts), Err(Fault::Http));
        parts.method = Method::POST;
        assert_eq!(check(&parts), Err(Fault::Method));
    }
}
