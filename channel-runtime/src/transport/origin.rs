use axum::http::request::Parts;

use crate::{connection::ConnectError, endpoint::Endpoint, origin::CheckOrigin};

/// Refuses a request whose `Origin` header is not allowed, and logs a warning. A transport calls
/// this first. Mirrors `Phoenix.Socket.Transport.check_origin/5`.
///
/// # Errors
///
/// [`ConnectError::Origin`].
pub fn check_origin(
    check: &CheckOrigin,
    endpoint: &Endpoint,
    request: &Parts,
) -> Result<(), ConnectError> {
    match check.allows_request(endpoint.url(), request) {
        true => Ok(()),
        false => Err(ConnectError::Origin),
    }
}

#[cfg(test)]
mod tests;
