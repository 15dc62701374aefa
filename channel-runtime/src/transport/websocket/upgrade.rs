//! Upgrades an HTTP request to an open connection.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use futures_util::future::BoxFuture;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use sha1::{Digest, Sha1};

use super::{
    drive,
    handshake::{self, Fault},
};
use crate::telemetry::shown;
use crate::{
    connection::{ConnectError, Connection, Corked},
    endpoint::Endpoint,
    socket::Mount,
    telemetry,
    transport::{choose_subprotocol, connect_request, guard, refuse},
};

/// The transport's name, in logs and in the connect info.
const NAME: &str = "websocket";

/// Connects first, so that a refusal is reported before the upgrade, and then upgrades.
pub(in crate::transport) async fn serve(
    endpoint: Endpoint,
    mount: Arc<dyn Mount>,
    request: Request,
) -> Response {
    let (mut parts, _) = request.into_parts();
    match admit(&endpoint, &*mount, &mut parts).await {
        Ok(admitted) => {
            let connection = admitted.connection;
            let (on_upgrade, handover) = (admitted.on_upgrade, admitted.handover);
            open(&endpoint, mount, connection, on_upgrade, handover);
            switching(&admitted.key, admitted.subprotocol)
        }
        Err(Rejected::Client(error)) => refuse(mount.options(), &error),
        Err(Rejected::Handshake(fault)) => {
            telemetry::turned_away(NAME, &fault);
            fault.into_response()
        }
    }
}

/// An admitted client.
struct Admitted {
    key: HeaderValue,
    connection: Connection,
    subprotocol: Option<HeaderValue>,
    on_upgrade: OnUpgrade,
    handover: Option<Handover>,
}

/// The reason a client gets no WebSocket.
enum Rejected {
    Client(ConnectError),
    Handshake(Fault),
}

impl From<ConnectError> for Rejected {
    fn from(error: ConnectError) -> Self {
        Rejected::Client(error)
    }
}

impl From<Fault> for Rejected {
    fn from(fault: Fault) -> Self {
        Rejected::Handshake(fault)
    }
}

/// A request extension that hands an upgraded connection to the server, so that it is driven in the
/// task that answered its request.
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
) -> Result<Admitted, Rejected> {
    let options = mount.options();
    guard(endpoint, options, &options.check_origin, NAME, request)?;
    let key = handshake::check(request);
    // A broken handshake is reported before the socket is asked; a request that is no handshake,
    // after.
    if let Err(fault) = key
        && fault.is_broken()
    {
        return Err(fault.into());
    }
    let subprotocol = choose_subprotocol(&options.subprotocols, &request.headers)
        .inspect_err(|error| telemetry::turned_away(NAME, error))?
        .and_then(|chosen| HeaderValue::from_str(chosen).ok());
    let on_upgrade = request.extensions.remove::<OnUpgrade>();
    let handover = request.extensions.remove::<Handover>();
    let connect = connect_request(endpoint, options, NAME, request).await?;
    let connection = mount.connect(endpoint.clone(), connect).await?;
    Ok(Admitted {
        key: key?,
        on_upgrade: on_upgrade.ok_or(Fault::Fixed)?,
        connection,
        subprotocol,
        handover,
    })
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
            Err(error) => {
                tracing::debug!(error = %shown(&error), "a client was gone before its upgrade")
            }
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

/// Returns the answer to a client's key, as RFC 6455, section 4.2.2 wants it.
fn accept_key(key: &[u8]) -> String {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    BASE64.encode(&digest)
}

fn switching(key: &HeaderValue, subprotocol: Option<HeaderValue>) -> Response {
    let accept = accept_key(key.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_has_the_answer_of_the_rfc() {
        let answer = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
