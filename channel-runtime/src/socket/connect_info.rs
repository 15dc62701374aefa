use std::net::SocketAddr;

/// How a client connected: what the transport knows of it.
///
/// Mirrors the `connect_info` of `c:Phoenix.Socket.connect/3`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The transport: `websocket`, or `test` for the test kit.
    pub transport: &'static str,
    /// The client's address, when the server was started with
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    pub peer_addr: Option<SocketAddr>,
    /// The path and query of the request, with the parameters' values as the client sent them.
    pub uri: String,
    /// The `user-agent` header.
    pub user_agent: Option<String>,
}
