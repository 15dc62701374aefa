//! The `Sec-WebSocket-Protocol` header: subprotocols, and the auth token that travels in it.

use axum::http::{HeaderMap, HeaderName, header};
use data_encoding::BASE64_NOPAD;

use super::ConnectError;

/// The prefix of the auth token among the subprotocols that a client offers.
const BEARER: &str = "base64url.bearer.phx.";

/// The header that carries the auth token over long polling.
pub(crate) const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-phoenix-authtoken");

/// Chooses the subprotocol of a connection: the first of `ours` that the client offers.
///
/// `None` when the client offers none, or `ours` is empty. The client's other entries, above all
/// the one with an auth token, are never chosen. Mirrors
/// `Phoenix.Socket.Transport.check_subprotocols/2`.
///
/// ```
/// use axum::http::HeaderMap;
/// use channel_runtime::transport::{ConnectError, choose_subprotocol};
///
/// let ours = ["v2".to_owned(), "v1".to_owned()];
/// let offers = |offered: &'static str| {
///     HeaderMap::from_iter([("sec-websocket-protocol".parse().unwrap(), offered.parse().unwrap())])
/// };
/// assert_eq!(choose_subprotocol(&ours, &offers("v1, v2")), Ok(Some("v2")));
/// assert_eq!(choose_subprotocol(&ours, &offers("v3")), Err(ConnectError::Subprotocol));
/// assert_eq!(choose_subprotocol(&[], &offers("v3")), Ok(None));
/// ```
///
/// # Errors
///
/// [`ConnectError::Subprotocol`] when the client offers some, but none of them is in `ours`.
pub fn choose_subprotocol<'a>(
    ours: &'a [String],
    request: &HeaderMap,
) -> Result<Option<&'a str>, ConnectError> {
    let mut offered = offered(request)
        .filter(|entry| !matches!(entry, Ok(entry) if entry.starts_with(BEARER)))
        .peekable();
    if ours.is_empty() || offered.peek().is_none() {
        return Ok(None);
    }
    let offered: Vec<&str> = offered.filter_map(Result::ok).collect();
    ours.iter()
        .find(|ours| offered.contains(&ours.as_str()))
        .map(|chosen| Some(chosen.as_str()))
        .ok_or(ConnectError::Subprotocol)
}

/// Returns the auth token that a client sends: as the subprotocol `base64url.bearer.phx.` followed
/// by the token in base64, or as the header `x-phoenix-authtoken`. Both alphabets of base64 are
/// accepted, with and without padding, since clients differ. Mirrors the `:auth_token` option.
///
/// # Errors
///
/// [`ConnectError::AuthToken`] when the token cannot be decoded, is not text, or is sent twice.
pub fn auth_token(request: &HeaderMap) -> Result<Option<String>, ConnectError> {
    let encoded = offered(request).filter_map(|entry| entry.ok()?.strip_prefix(BEARER));
    let plain = request.get_all(AUTH_TOKEN).iter();
    let mut tokens = encoded
        .map(decode)
        .chain(plain.map(|token| token.to_str().ok().map(str::to_owned)));
    match (tokens.next(), tokens.next()) {
        (None, _) => Ok(None),
        (Some(Some(token)), None) => Ok(Some(token)),
        _ => Err(ConnectError::AuthToken),
    }
}

fn decode(encoded: &str) -> Option<String> {
    let unpadded = encoded.trim_end_matches('=');
    if encoded.len() - unpadded.len() > 2 {
        return None;
    }
    let standard = unpadded.replace('-', "+").replace('_', "/");
    String::from_utf8(BASE64_NOPAD.decode(standard.as_bytes()).ok()?).ok()
}

/// Returns the entries of the header's lines; `Err` stands for a line that is not text.
fn offered(request: &HeaderMap) -> impl Iterator<Item = Result<&str, ()>> {
    let lines = request.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    lines
        .flat_map(|line| {
            let (text, broken) = match line.to_str() {
                Ok(text) => (text, None),
                Err(_) => ("", Some(Err(()))),
            };
            text.split(',').map(|entry| Ok(entry.trim())).chain(broken)
        })
        .filter(|entry| *entry != Ok(""))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use data_encoding::BASE64URL_NOPAD;
    use proptest::prelude::*;

    use super::*;

    fn headers(name: HeaderName, lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    fn offers(lines: &[&[u8]]) -> HeaderMap {
        headers(header::SEC_WEBSOCKET_PROTOCOL, lines)
    }

    #[test]
    fn the_servers_order_wins() {
        let ours = ["chat".to_owned(), "phx2".to_owned()];
        type Chosen = Result<Option<&'static str>, ConnectError>;
        let table: [(&[&[u8]], Chosen); 11] = [
            (&[], Ok(None)),
            (&[b""], Ok(None)),
            (&[b" , "], Ok(None)),
            (&[b"nope, phx2"], Ok(Some("phx2"))),
            (&[b"phx2,chat"], Ok(Some("chat"))),
            (&[b"phx2", b"chat"], Ok(Some("chat"))),
            (&[b"nope"], Err(ConnectError::Subprotocol)),
            (&[b"CHAT"], Err(ConnectError::Subprotocol)),
            (&[b"\xff"], Err(ConnectError::Subprotocol)),
            (&[b"\xff", b"chat"], Ok(Some("chat"))),
            (&[b"base64url.bearer.phx.dG9r"], Ok(None)),
        ];
        for (lines, expected) in table {
            assert_eq!(
                choose_subprotocol(&ours, &offers(lines)),
                expected,
                "{lines:?}"
            );
            assert_eq!(choose_subprotocol(&[], &offers(lines)), Ok(None));
        }
    }

    #[test]
    fn a_token_is_found_in_either_header() {
        let table: [(&[u8], Option<&str>); 8] = [
            (b"phoenix, base64url.bearer.phx.dG9r", Some("tok")),
            (b"base64url.bearer.phx.dG9r", Some("tok")),
            (b"base64url.bearer.phx.", Some("")),
            // `>>>???` in both alphabets, and with padding.
            (b"base64url.bearer.phx.Pj4-Pz8_", Some(">>>???")),
            (b"base64url.bearer.phx.Pj4+Pz8/", Some(">>>???")),
            (b"base64url.bearer.phx.dG9rMQ==", Some("tok1")),
            (b"phoenix", None),
            (b"bearer.dG9r", None),
        ];
        for (line, expected) in table {
            let token = auth_token(&offers(&[line]));
            assert_eq!(token, Ok(expected.map(str::to_owned)), "{line:?}");
        }
        let header = headers(AUTH_TOKEN, &[b"tok-9"]);
        assert_eq!(auth_token(&header), Ok(Some("tok-9".to_owned())));
    }

    #[test]
    fn a_token_that_cannot_be_read_is_an_error_which_does_not_say_it() {
        for encoded in ["!!!", "dG9", "dG9r===", "d", "/w", "dG 9r"] {
            let line = format!("phoenix, {BEARER}{encoded}");
            let error = auth_token(&offers(&[line.as_bytes()])).unwrap_err();
            assert_eq!(error, ConnectError::AuthToken, "{encoded}");
            assert!(encoded.len() < 3 || !format!("{error} {error:?}").contains(encoded));
        }
        let twice = b"base64url.bearer.phx.dG9r, base64url.bearer.phx.dG9r";
        assert_eq!(auth_token(&offers(&[twice])), Err(ConnectError::AuthToken));
        let header = headers(AUTH_TOKEN, &[b"\xff"]);
        assert_eq!(auth_token(&header), Err(ConnectError::AuthToken));
    }

    proptest! {
        #[test]
        fn what_a_client_encodes_is_what_the_socket_gets(token in any::<String>()) {
            let line = format!("phoenix, {BEARER}{}", BASE64URL_NOPAD.encode(token.as_bytes()));
            prop_assert_eq!(auth_token(&offers(&[line.as_bytes()])), Ok(Some(token)));
        }

        #[test]
        fn no_header_panics(line in proptest::collection::vec(0x20_u8..=0xff, 0..100)) {
            let Ok(value) = HeaderValue::from_bytes(&line) else { return Ok(()) };
            let bearer = [BEARER.as_bytes(), &line].concat();
            for line in [value.as_bytes(), &bearer] {
                if HeaderValue::from_bytes(line).is_ok() {
                    let headers = offers(&[line]);
                    let _token = auth_token(&headers);
                    let _chosen = choose_subprotocol(&["phoenix".to_owned()], &headers);
                }
            }
        }
    }
}
