//! What is mounted at a path, as every transport sees it.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::http::{Extensions, StatusCode};
use futures_util::{FutureExt, future::BoxFuture};
use thiserror::Error as ThisError;
use tracing::Instrument;

use super::Connection;
use crate::{ConnectInfo, Endpoint, Params, Refusal, endpoint::SocketOptions, telemetry};

/// All that a transport knows of a client when it connects.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The query of the client's request.
    pub params: Params,
    /// How and from where it connects.
    pub info: ConnectInfo,
    /// What tower layers have added to its request.
    pub extensions: Extensions,
    /// Whether the transport carries text alone to the client, so that binary payloads must go
    /// out as text: see [`Serializer::text_only`](crate::wire::Serializer::text_only).
    pub text_only: bool,
}

impl ConnectRequest {
    /// A request with these parameters, over the transport of this name.
    pub fn new(transport: &'static str, params: Params) -> Self {
        ConnectRequest {
            params,
            info: ConnectInfo::over(transport),
            extensions: Extensions::new(),
            text_only: false,
        }
    }
}

/// Why a client was not let in.
#[derive(Clone, Debug, PartialEq, ThisError)]
#[non_exhaustive]
pub enum ConnectError {
    /// The socket's `#[connect]` said no.
    #[error("refused: {}", telemetry::line(.0.reason().unwrap_or("no reason given")))]
    Refused(Refusal),
    /// No serializer serves the client's `vsn`.
    #[error("unsupported vsn")]
    Version,
    /// The socket's `#[connect]` panicked.
    #[error("connect crashed")]
    Crashed,
    /// The server is going down.
    #[error("the server is draining")]
    Draining,
    /// The page that connects is of an origin that is not allowed.
    #[error("the origin is not allowed")]
    Origin,
    /// The client speaks none of the socket's subprotocols.
    #[error("none of the subprotocols is spoken here")]
    Subprotocol,
    /// The auth token cannot be decoded.
    #[error("the auth token cannot be decoded")]
    AuthToken,
    /// A variable of the path is empty, or no UTF-8.
    #[error("a variable of the path is empty or no UTF-8")]
    Path,
    /// The endpoint has as many connections as it may.
    #[error("too many connections")]
    Full,
    /// Nothing is mounted at the path.
    #[error("no socket is mounted at \"{}\"", telemetry::line(.0))]
    NoSocket(String),
}

impl ConnectError {
    /// The HTTP status that says it: 403 where the client or its version is not wanted, 400 where
    /// its request cannot be read, 503 where it may come again, 500 and 404.
    pub fn status(&self) -> StatusCode {
        match self {
            ConnectError::Refused(_)
            | ConnectError::Version
            | ConnectError::Origin
            | ConnectError::Subprotocol => StatusCode::FORBIDDEN,
            ConnectError::AuthToken | ConnectError::Path => StatusCode::BAD_REQUEST,
            ConnectError::Draining | ConnectError::Full => StatusCode::SERVICE_UNAVAILABLE,
            ConnectError::Crashed => StatusCode::INTERNAL_SERVER_ERROR,
            ConnectError::NoSocket(_) => StatusCode::NOT_FOUND,
        }
    }
}

/// Runs a socket's own connect code: a panic in it refuses the client, and the outcome is told.
pub(crate) async fn guarded(
    socket: &'static str,
    transport: &'static str,
    open: impl Future<Output = Result<Connection, ConnectError>>,
) -> Result<Connection, ConnectError> {
    let started = Instant::now();
    let connection = AssertUnwindSafe(open)
        .catch_unwind()
        .instrument(telemetry::connect_span(socket, transport))
        .await
        .unwrap_or_else(|panic| {
            telemetry::socket_panicked(socket, &*panic);
            Err(ConnectError::Crashed)
        });
    telemetry::connected(socket, transport, connection.is_ok(), started.elapsed());
    connection
}

/// A socket type with its options, as the endpoint keeps it.
pub(crate) trait Mount: Send + Sync {
    /// Lets the client in, or not, and opens the connection.
    fn connect(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> BoxFuture<'_, Result<Connection, ConnectError>>;

    /// For the transports that are built in.
    #[cfg_attr(
        not(any(feature = "websocket", feature = "longpoll")),
        allow(dead_code)
    )]
    fn options(&self) -> &SocketOptions;

    /// What cannot work with these options.
    #[cfg(feature = "uploads")]
    fn check(&self) -> Result<(), crate::ConfigError> {
        Ok(())
    }

    /// `(topic pattern, channel)` pairs.
    fn patterns(&self) -> Vec<(&'static str, &'static str)>;

    fn name(&self) -> &'static str;
}
