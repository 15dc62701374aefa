//! The routes of all sockets, for axum.

use axum::{Router, extract::Request, routing::any};

#[cfg(feature = "long-poll")]
use super::long_poll::LongPoll;
#[cfg(feature = "websocket")]
use super::websocket;
use crate::endpoint::Endpoint;

impl Endpoint {
    /// Returns the routes of all sockets, to serve alone or to merge into an application's router.
    ///
    /// A socket mounted at `/socket` has its WebSocket at `/socket/websocket`, and long polling at
    /// `/socket/longpoll` if its options enable it. To let channels see the client's address, serve
    /// the router with `Endpoint::serve`, or with
    /// `into_make_service_with_connect_info::<std::net::SocketAddr>()`.
    ///
    /// hyper answers a request with more than 100 headers, or with more than about 400 KB of them,
    /// with status 431, and one with more than 64 KB of path and query with 414. Such requests do
    /// not reach the sockets.
    pub fn router<T>(&self) -> Router<T>
    where
        T: Clone + Send + Sync + 'static,
    {
        let mut router = Router::new();
        for (path, mount) in self.mounts().iter() {
            #[cfg(feature = "websocket")]
            if mount.options().websocket {
                let (endpoint, mount) = (self.clone(), mount.clone());
                let serve = any(move |request: Request| websocket::serve(endpoint, mount, request));
                router = both(router, &format!("{path}/websocket"), serve);
            }
            #[cfg(feature = "long-poll")]
            if let (Some(options), Some(relay)) = (&mount.options().long_poll, self.long_poll(path))
            {
                let (endpoint, mount) = (self.clone(), mount.clone());
                let polled = LongPoll::new(endpoint, relay, mount, options.clone());
                let serve = any(move |request: Request| polled.serve(request));
                router = both(router, &format!("{path}/longpoll"), serve);
            }
        }
        router
    }
}

/// Adds a route with and without a trailing slash.
fn both<T>(router: Router<T>, path: &str, serve: axum::routing::MethodRouter<T>) -> Router<T>
where
    T: Clone + Send + Sync + 'static,
{
    router
        .route(path, serve.clone())
        .route(&format!("{path}/"), serve)
}
