use axum::http::{Extensions, StatusCode};
use thiserror::Error as ThisError;

use super::{ConnectInfo, Params};
use crate::{protocol::Refusal, telemetry};

/// The request of a client that connects, as its transport sees it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The query of the client's request.
    pub params: Params,
    /// The details of the connection.
    pub info: ConnectInfo,
    /// The extensions that tower layers have added to its request.
    pub extensions: Extensions,
    /// True if the transport carries only text to the client, so that binary payloads must go out
    /// as text: see [`Serializer::text_only`](crate::protocol::Serializer::text_only).
    pub text_only: bool,
}

impl ConnectRequest {
    /// Creates a request with these parameters, over the transport of this name.
    pub fn new(transport: &'static str, params: Params) -> Self {
        ConnectRequest {
            params,
            info: ConnectInfo::over(transport),
            extensions: Extensions::new(),
            text_only: false,
        }
    }
}

/// The reason why a client was refused.
#[derive(Clone, Debug, PartialEq, ThisError)]
#[non_exhaustive]
pub enum ConnectError {
    /// The socket's `#[connect]` refused it.
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
    /// The origin of the connecting page is not allowed.
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
    /// The endpoint has reached its limit of connections.
    #[error("too many connections")]
    Full,
    /// Nothing is mounted at the path.
    #[error("no socket is mounted at \"{}\"", telemetry::line(.0))]
    NoSocket(String),
}

impl ConnectError {
    /// Returns the HTTP status for the error: 403 if the client or its version is not accepted, 400
    /// if its request cannot be read, 503 if it may try again, and 500 and 404.
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
