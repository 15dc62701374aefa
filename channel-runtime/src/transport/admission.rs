//! The checks that every transport runs on a request before the socket sees it, and the answer to a
//! refused one.

#![cfg_attr(not(feature = "websocket"), allow(dead_code))]

use axum::{
    extract::{FromRequestParts, RawPathParams, rejection::RawPathParamsRejection},
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::{auth_token, check_origin, info::filtered_info};
use crate::{
    connection::{ConnectError, ConnectRequest, Params},
    endpoint::Endpoint,
    options::SocketOptions,
    origin::CheckOrigin,
    telemetry,
};

/// Checks every request of a transport before anything else: logs it, and checks for draining and
/// for its origin. `origin` is the transport's own check, or the socket's.
///
/// # Errors
///
/// [`ConnectError::Draining`], [`ConnectError::Origin`].
pub(crate) fn guard(
    endpoint: &Endpoint,
    options: &SocketOptions,
    origin: &CheckOrigin,
    transport: &'static str,
    request: &Parts,
) -> Result<(), ConnectError> {
    telemetry::transport_request(options.transport_log, transport, request);
    let guarded = match endpoint.is_draining() {
        true => Err(ConnectError::Draining),
        false => check_origin(origin, endpoint, request),
    };
    guarded.inspect_err(|error| telemetry::turned_away(transport, error))
}

/// Returns the part of a connecting request that a socket's connect sees. Takes the extensions out
/// of the request.
///
/// # Errors
///
/// [`ConnectError::Full`], [`ConnectError::Path`], [`ConnectError::AuthToken`].
pub(crate) async fn connect_request(
    endpoint: &Endpoint,
    options: &SocketOptions,
    transport: &'static str,
    request: &mut Parts,
) -> Result<ConnectRequest, ConnectError> {
    let collected = collect(endpoint, options, transport, request).await;
    collected.inspect_err(|error| telemetry::turned_away(transport, error))
}

async fn collect(
    endpoint: &Endpoint,
    options: &SocketOptions,
    transport: &'static str,
    request: &mut Parts,
) -> Result<ConnectRequest, ConnectError> {
    // It is counted when it is registered; until then no work is spent on it.
    endpoint.connections().check_room()?;
    let query = Params::from_query(request.uri.query().unwrap_or_default());
    let query = query.filtered(endpoint.filter());
    let params = match RawPathParams::from_request_parts(request, &()).await {
        // axum lets a variable match an empty segment, as in `/socket//websocket`.
        Ok(path) if path.iter().any(|(_, value)| value.is_empty()) => {
            return Err(ConnectError::Path);
        }
        Ok(path) => query.with_path(&path),
        Err(RawPathParamsRejection::MissingPathParams(_)) => query,
        Err(_) => return Err(ConnectError::Path),
    };
    let mut info = filtered_info(transport, &options.connect_info, request, endpoint.filter());
    if options.auth_token
        && let Some(token) = auth_token(&request.headers)?
    {
        info = info.with_auth_token(token);
    }
    #[cfg(feature = "token")]
    if let Some(cookie) = &options.session
        && let Some(session) = cookie.of_page(endpoint, &request.headers, &params)
    {
        info = info.with_session(session);
    }
    Ok(ConnectRequest {
        params,
        info,
        extensions: std::mem::take(&mut request.extensions),
        text_only: false,
    })
}

/// Returns the answer to a refused client: that of the socket's error handler, or an empty one with
/// the error's status.
pub(crate) fn refuse(options: &SocketOptions, error: &ConnectError) -> Response {
    let handled = options.error_handler.as_ref().and_then(|handler| {
        // After a panic the plain answer is sufficient.
        telemetry::caught("error_handler", || (handler.0)(error))
    });
    handled.unwrap_or_else(|| error.status().into_response())
}

impl Endpoint {
    /// Returns the HTTP answer to a client that is refused at `path`: that of the socket's
    /// [`error_handler`](crate::SocketOptions::error_handler), or one with the error's
    /// [status](ConnectError::status). For tests of the handler, and for custom transports that
    /// speak HTTP.
    pub fn refusal(&self, path: &str, error: &ConnectError) -> Response {
        match self.mounts().at(path) {
            Some((mount, _)) => refuse(mount.options(), error),
            None => refuse(&SocketOptions::default(), error),
        }
    }
}
