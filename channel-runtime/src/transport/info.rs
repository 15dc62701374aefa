//! Connect info: the part of a request that describes its client.

use std::net::SocketAddr;

use axum::http::{HeaderName, HeaderValue, header, request::Parts};

use super::subprotocol::AUTH_TOKEN;
use crate::{
    connection::{ConnectInfo, ConnectInfoKey},
    telemetry::FilterParameters,
};

/// Collects the connect info that a socket has asked for, and nothing else. Mirrors
/// `Phoenix.Socket.Transport.connect_info/4`.
///
/// Values are copied, so that a connection does not keep its whole request in memory. Headers whose
/// names suggest a secret are marked sensitive; the auth token is not among them.
///
/// ```
/// use axum::http::Request;
/// use channel_runtime::{ConnectInfoKey, transport::connect_info};
///
/// let request = Request::builder()
///     .header("x-region", "eu")
///     .header("user-agent", "phoenix.js")
///     .body(())?;
/// let info = connect_info("pigeon", &[ConnectInfoKey::XHeaders], &request.into_parts().0);
/// assert_eq!(info.header("x-region"), Some("eu"));
/// assert_eq!(info.user_agent, None);
/// # Ok::<(), axum::http::Error>(())
/// ```
pub fn connect_info(
    transport: &'static str,
    keys: &[ConnectInfoKey],
    request: &Parts,
) -> ConnectInfo {
    filtered_info(transport, keys, request, FilterParameters::built_in())
}

/// As [`connect_info`], but leaves out headers that the filter hides.
pub(crate) fn filtered_info(
    transport: &'static str,
    keys: &[ConnectInfoKey],
    request: &Parts,
    filter: &FilterParameters,
) -> ConnectInfo {
    let wants = |key| keys.contains(&key);
    let mut info = ConnectInfo::over(transport);
    if wants(ConnectInfoKey::PeerAddr) {
        info.peer_addr = peer_addr(request);
    }
    if wants(ConnectInfoKey::Uri) {
        info.uri = Some(request.uri.to_string());
    }
    if wants(ConnectInfoKey::UserAgent) {
        let agent = request.headers.get(header::USER_AGENT);
        info.user_agent = agent.and_then(|agent| agent.to_str().ok().map(str::to_owned));
    }
    let (x, trace) = (
        wants(ConnectInfoKey::XHeaders),
        wants(ConnectInfoKey::TraceContext),
    );
    let websocket = wants(ConnectInfoKey::SecWebsocketHeaders);
    let wanted = |name: &str| {
        (x && name.starts_with("x-") && name != AUTH_TOKEN.as_str())
            || (trace && TRACE_CONTEXT.contains(&name))
            || (websocket && name.starts_with("sec-websocket-"))
    };
    let headers = request.headers.iter();
    headers
        .filter(|(name, _)| wanted(name.as_str()))
        .fold(info, |info, (name, value)| {
            info.with_header(name.clone(), copied(name, value, filter))
        })
}

/// Returns the peer address that axum's server has recorded.
#[cfg(feature = "websocket")]
fn peer_addr(request: &Parts) -> Option<SocketAddr> {
    use axum::extract::ConnectInfo;

    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|peer| peer.0)
}

/// Returns `None`: without axum's server no address is recorded.
#[cfg(not(feature = "websocket"))]
fn peer_addr(_: &Parts) -> Option<SocketAddr> {
    None
}

/// The headers of W3C Trace Context and Baggage.
const TRACE_CONTEXT: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// Returns a copy of the value that does not share the memory of its request.
fn copied(name: &HeaderName, value: &HeaderValue, filter: &FilterParameters) -> HeaderValue {
    let mut copy = HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone());
    let secret = !filter.shows(name.as_str()) || name == header::SEC_WEBSOCKET_PROTOCOL;
    copy.set_sensitive(secret || value.is_sensitive());
    copy
}

#[cfg(test)]
mod tests {
    use axum::{extract::ConnectInfo as PeerInfo, http::Request};

    use super::*;

    const ALL: [ConnectInfoKey; 6] = [
        ConnectInfoKey::PeerAddr,
        ConnectInfoKey::Uri,
        ConnectInfoKey::UserAgent,
        ConnectInfoKey::TraceContext,
        ConnectInfoKey::XHeaders,
        ConnectInfoKey::SecWebsocketHeaders,
    ];

    fn request() -> Parts {
        let peer: SocketAddr = "10.0.0.1:9".parse().unwrap();
        let request = Request::builder()
            .uri("/socket/websocket?token=hush-query")
            .header("user-agent", "tests/1")
            .header("traceparent", "00-1-2-01")
            .header("baggage", "k=v")
            .header("x-region", "eu")
            .header("x-region", "us")
            .header("x-csrf-token", "hush-csrf")
            .header("x-phoenix-authtoken", "hush-auth")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "hush-protocol")
            .header("cookie", "hush-cookie")
            .header("authorization", "hush-authorization")
            .extension(PeerInfo(peer));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn nothing_is_collected_that_was_not_asked_for() {
        let info = connect_info("websocket", &[], &request());
        assert_eq!(
            (info.peer_addr, &info.uri, &info.user_agent),
            (None, &None, &None)
        );
        assert_eq!(info.headers().count(), 0);
        for key in ALL {
            let info = connect_info("websocket", &[key], &request());
            let fields = [
                info.peer_addr.is_some(),
                info.uri.is_some(),
                info.user_agent.is_some(),
                info.header("traceparent").is_some() && info.header("baggage").is_some(),
                info.header("x-region").is_some(),
                info.header("sec-websocket-version").is_some(),
            ];
            assert_eq!(fields.iter().filter(|is| **is).count(), 1, "{key:?}");
        }
    }

    #[test]
    fn everything_that_was_asked_for_is_collected_but_the_credentials() {
        let info = connect_info("websocket", &ALL, &request());
        assert_eq!(info.peer_addr, Some("10.0.0.1:9".parse().unwrap()));
        assert_eq!(
            info.uri.as_deref(),
            Some("/socket/websocket?token=hush-query")
        );
        assert_eq!(info.user_agent.as_deref(), Some("tests/1"));
        assert_eq!(info.header("x-region"), Some("eu"));
        assert_eq!(info.header("x-csrf-token"), Some("hush-csrf"));
        for credentials in ["cookie", "authorization", "x-phoenix-authtoken"] {
            assert_eq!(info.header(credentials), None, "{credentials}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let info = connect_info("websocket", &ALL, &request()).with_auth_token("hush-token");
        let shown = format!("{info:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(
            shown.contains("eu") && shown.contains("/socket/websocket"),
            "{shown}"
        );
    }

    #[test]
    fn headers_that_are_no_text_do_no_harm() {
        let mut request = request();
        let bytes = HeaderValue::from_bytes(b"\xff\xfe").unwrap();
        for name in ["user-agent", "x-region", "traceparent"] {
            request.headers.insert(name, bytes.clone());
        }
        let info = connect_info("websocket", &ALL, &request);
        assert_eq!(
            (info.user_agent.as_deref(), info.header("x-region")),
            (None, None)
        );
        assert_eq!(
            info.headers().filter(|(_, value)| *value == bytes).count(),
            2
        );
    }
}
