//! From an HTTP request to an open connection.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::drive;
use crate::{
    Endpoint,
    socket::Corked,
    telemetry,
    transport::{
        ConnectError, Connection, Mount, choose_subprotocol, connect_request, guard, refuse,
    },
};

/// The transport's name, in logs and in what a socket learns of its client.
const NAME: &str = "websocket";

/// Connects first, so that a refusal is told before anything else, and upgrades then.
pub(in crate::transport) async fn serve(
    endpoint: Endpoint,
    mount: Arc<dyn Mount>,
    request: Request,
) -> Response {
    let (mut parts, _) = request.into_parts();
    match admit(&endpoint, &*mount, &mut parts).await {
        Ok(admitted) => answer(endpoint, mount, &mut parts, admitted),
        Err(error) => refuse(mount.options(), &error),
    }
}

/// A client that has been let in.
struct Admitted {
    connection: Connection,
    subprotocol: Option<HeaderValue>,
    on_upgrade: Option<OnUpgrade>,
    handover: Option<Handover>,
}

/// Where a server takes a connection over that has been upgraded, so that it goes on in the task
/// that has answered its request: an extension of the request.
#[derive(Clone, Default)]
pub(crate) struct Handover(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Handover {
    #[cfg(feature = "serve")]
    pub(crate) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().take()
    }
}

async fn admit(
    endpoint: &Endpoint,
    mount: &dyn Mount,
    request: &mut Parts,
) -> Result<Admitted, ConnectError> {
    let options = mount.options();
    guard(endpoint, options, &options.check_origin, NAME, request)?;
    let subprotocol = choose_subprotocol(&options.subprotocols, &request.headers)
        .inspect_err(|error| telemetry::turned_away(NAME, error))?
        .and_then(|chosen| HeaderValue::from_str(chosen).ok());
    let on_upgrade = request.extensions.remove::<OnUpgrade>();
    let handover = request.extensions.remove::<Handover>();
    let connect = connect_request(endpoint, options, NAME, request).await?;
    let connection = mount.connect(endpoint.clone(), connect).await?;
    Ok(Admitted {
        connection,
        subprotocol,
        on_upgrade,
        handover,
    })
}

fn answer(
    endpoint: Endpoint,
    mount: Arc<dyn Mount>,
    request: &mut Parts,
    admitted: Admitted,
) -> Response {
    match upgrade(request, admitted.on_upgrade) {
        Ok((key, on_upgrade)) => {
            let connection = admitted.connection;
            open(&endpoint, mount, connection, on_upgrade, admitted.handover);
            switching(&key, admitted.subprotocol)
        }
        Err(why) => (StatusCode::BAD_REQUEST, why).into_response(),
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

fn open(
    endpoint: &Endpoint,
    mount: Arc<dyn Mount>,
    connection: Connection,
    on_upgrade: OnUpgrade,
    handover: Option<Handover>,
) {
    let outbox = connection.outbox().clone();
    let open = Corked::new(&outbox, async move {
        match on_upgrade.await {
            Ok(upgraded) => drive::run(upgraded, connection, mount.options()).await,
            Err(error) => tracing::debug!(%error, "a client was gone before its upgrade"),
        }
    });
    match handover {
        Some(handover) => {
            let open = endpoint.tasks().track_future(open);
            *handover.0.lock() = Some(Box::pin(open));
        }
        None => drop(endpoint.tasks().spawn(open)),
    }
}

fn switching(key: &HeaderValue, subprotocol: Option<HeaderValue>) -> Response {
    let accept = derive_accept_key(key.as_bytes());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(subprotocol) = subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}
