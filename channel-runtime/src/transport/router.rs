//! The routes of all sockets, for axum.

use std::sync::Arc;

use axum::{Router, extract::Request, routing::any};

use super::{Mount, websocket};
use crate::Endpoint;

impl Endpoint {
    /// The routes of all sockets, to serve alone or to merge into an application's router.
    ///
    /// A socket mounted at `/socket` has its WebSocket at `/socket/websocket`. To let channels
    /// see the client's address, serve the router with
    /// `into_make_service_with_connect_info::<std::net::SocketAddr>()`.
    pub fn router<T>(&self) -> Router<T>
    where
        T: Clone + Send + Sync + 'static,
    {
        self.mounts()
            .iter()
            .filter(|(_, mount)| mount.options().websocket)
            .fold(Router::new(), |router, (path, mount)| {
                let serve = |endpoint: Endpoint, mount: Arc<dyn Mount>| {
                    any(move |request: Request| websocket::serve(endpoint, mount, request))
                };
                let route = || serve(self.clone(), mount.clone());
                router
                    .route(&format!("{path}/websocket"), route())
                    .route(&format!("{path}/websocket/"), route())
            })
    }
}
