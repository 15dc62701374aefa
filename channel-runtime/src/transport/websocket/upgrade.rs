//! From an HTTP request to an open connection.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo as PeerInfo, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::drive;
use crate::{
    ConnectInfo, Endpoint, Params,
    transport::{ConnectError, ConnectRequest, Connection, Mount},
};

/// Connects first, so that a refusal is told before anything else, and upgrades then.
pub(in crate::transport) async fn serve(
    endpoint: Endpoint,
    mount: Arc<dyn Mount>,
    request: Request,
) -> Response {
    if endpoint.is_draining() {
        return refuse(&ConnectError::Draining);
    }
    let (mut parts, _) = request.into_parts();
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    let request = ConnectRequest {
        params: Params::from_query(parts.uri.query().unwrap_or_default()),
        info: connect_info(&parts),
        extensions: std::mem::take(&mut parts.extensions),
    };
    let connection = match mount.connect(endpoint.clone(), request).await {
        Ok(connection) => connection,
        Err(error) => return refuse(&error),
    };
    match upgrade(&parts, on_upgrade) {
        Ok((key, on_upgrade)) => {
            open(&endpoint, mount, connection, on_upgrade);
            switching(&key)
        }
        Err(why) => (StatusCode::BAD_REQUEST, why).into_response(),
    }
}

fn refuse(error: &ConnectError) -> Response {
    let status = match error {
        ConnectError::Draining => StatusCode::SERVICE_UNAVAILABLE,
        ConnectError::Crashed => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    };
    status.into_response()
}

fn connect_info(parts: &Parts) -> ConnectInfo {
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    ConnectInfo {
        transport: "websocket",
        peer_addr: parts
            .extensions
            .get::<PeerInfo<SocketAddr>>()
            .map(|peer| peer.0),
        uri: parts.uri.to_string(),
        user_agent: text(header::USER_AGENT).map(str::to_owned),
    }
}

/// The key of a valid WebSocket request, and the connection underneath it.
fn upgrade(
    parts: &Parts,
    on_upgrade: Option<OnUpgrade>,
) -> Result<(HeaderValue, OnUpgrade), &'static str> {
    let headers = &parts.headers;
    if parts.method != Method::GET {
        return Err("a WebSocket request is a GET");
    }
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return Err("the `connection` header must contain `upgrade`");
    }
    if !has_token(headers, header::UPGRADE, "websocket") {
        return Err("the `upgrade` header must contain `websocket`");
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err("the `sec-websocket-version` header must be `13`");
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .cloned()
        .ok_or("the `sec-websocket-key` header is missing")?;
    let on_upgrade =
        on_upgrade.ok_or("this connection cannot be upgraded; WebSockets need HTTP/1.1")?;
    Ok((key, on_upgrade))
}

/// Whether a header lists a token, whatever its case.
fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

fn open(endpoint: &Endpoint, mount: Arc<dyn Mount>, connection: Connection, on_upgrade: OnUpgrade) {
    endpoint.tasks().spawn(async move {
        match on_upgrade.await {
            Ok(upgraded) => drive::run(upgraded, connection, mount.options()).await,
            Err(error) => tracing::debug!(%error, "a client was gone before its upgrade"),
        }
    });
}

fn switching(key: &HeaderValue) -> Response {
    let accept = derive_accept_key(key.as_bytes());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}
