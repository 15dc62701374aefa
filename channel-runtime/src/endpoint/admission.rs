//! Who is let in: the endpoint's own host, its places, and the answer to those who are not.

use std::sync::Arc;

use axum::response::Response;

use super::{
    Endpoint,
    path::{self, Values},
};
use crate::{
    FilterParameters, telemetry,
    transport::{self, ConnectError, ConnectRequest, Connection, Mount, OriginPattern},
};

/// What holds for all sockets of an endpoint.
#[derive(Default)]
pub(super) struct Admission {
    pub(super) url: Option<OriginPattern>,
    pub(super) max_connections: Option<usize>,
    pub(super) filter: Arc<FilterParameters>,
}

impl Endpoint {
    /// What the log shows of parameters.
    pub(crate) fn filter(&self) -> &Arc<FilterParameters> {
        &self.0.admission.filter
    }

    /// Opens a connection to the socket mounted at `path`: what a transport of your own calls.
    /// See [`transport`](crate::transport). Mirrors `c:Phoenix.Socket.Transport.connect/1`.
    ///
    /// The values of the path's variables join the request's parameters: a socket mounted at
    /// `/socket/{tenant}` is connected to at `/socket/acme`.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`]: refused, draining, or nothing is mounted there.
    pub async fn connect(
        &self,
        path: &str,
        mut request: ConnectRequest,
    ) -> Result<Connection, ConnectError> {
        if self.is_draining() {
            return Err(ConnectError::Draining);
        }
        let found = self.mount_at(path);
        let (mount, values) = found.ok_or_else(|| ConnectError::NoSocket(path.to_owned()))?;
        self.check_room()?;
        request.params = request.params.with_path(values).filtered(self.filter());
        mount.connect(self.clone(), request).await
    }

    /// What a client that is not let in at `path` is answered over HTTP: by the socket's
    /// [`error_handler`](crate::SocketOptions::error_handler), or with the error's
    /// [status](ConnectError::status). For tests of the handler, and for transports of your own
    /// that speak HTTP.
    pub fn refusal(&self, path: &str, error: &ConnectError) -> Response {
        match self.mount_at(path) {
            Some((mount, _)) => transport::refuse(mount.options(), error),
            None => transport::refuse(&crate::SocketOptions::default(), error),
        }
    }

    /// What is mounted at a path, and the values of its variables. A path without variables goes
    /// before one with.
    pub(crate) fn mount_at<'a>(
        &'a self,
        path: &'a str,
    ) -> Option<(&'a Arc<dyn Mount>, Values<'a>)> {
        let mounts = self.0.mounts.iter();
        mounts
            .filter_map(|(mounted, mount)| Some((mount, path::matches(mounted, path)?)))
            .min_by_key(|(_, values)| values.len())
    }

    /// The configured address of the endpoint.
    pub(crate) fn url(&self) -> Option<&OriginPattern> {
        self.0.admission.url.as_ref()
    }

    /// Whether another connection may be opened.
    pub(crate) fn check_room(&self) -> Result<(), ConnectError> {
        self.has_room(self.connection_count())
    }

    /// As [`Endpoint::check_room`], when so many are open.
    pub(super) fn has_room(&self, open: usize) -> Result<(), ConnectError> {
        match self.0.admission.max_connections {
            Some(limit) if open >= limit => {
                telemetry::endpoint_full(limit);
                Err(ConnectError::Full)
            }
            _ => Ok(()),
        }
    }
}
