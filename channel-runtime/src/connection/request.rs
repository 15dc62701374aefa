use axum::http::{Extensions, StatusCode};
use thiserror::Error as ThisError;

use super::{ConnectInfo, Params};
use crate::{protocol::Refusal, telemetry};

/// All that a transport knows of a client when it connects.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The query of the client's request.
    pub params: Params,
    /// How and from where it connects.
    pub info: ConnectInfo,
    /// The extensions that tower layers have added to its request.
    pub extensions: Extensions,
    /// True if the transport carries text alone to the client, so that binary payloads must go
    /// out as text: see [`Serializer::text_only`](crate::protocol::Serializer::text_only).
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
