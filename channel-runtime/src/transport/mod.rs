//! Transports: how frames reach a connection and leave it. A transport knows nothing of channels.
//!
//! WebSocket and long-poll are built in. A custom transport calls the same functions:
//! [`Endpoint::connect`](crate::Endpoint::connect) with a [`ConnectRequest`] returns a
//! [`Connection`] or the reason for a refusal. Frames go in with [`Connection::receive`] and come
//! out of [`Connection::next`]; dropping the connection ends it. A transport with an HTTP request
//! first checks its origin with [`check_origin`], and learns more about the client with
//! [`connect_info`], [`auth_token`] and [`choose_subprotocol`].
//!
//! ```
//! use channel_runtime::{Endpoint, Params, transport::{ConnectRequest, Event}, protocol::Frame};
//!
//! /// Carries one client over a pair of channels.
//! async fn carry(
//!     endpoint: Endpoint,
//!     mut from_client: tokio::sync::mpsc::Receiver<Frame>,
//!     to_client: tokio::sync::mpsc::Sender<Frame>,
//! ) {
//!     let request = ConnectRequest::new("pair", Params::from_query("vsn=2.0.0"));
//!     let Ok(mut connection) = endpoint.connect("/socket", request).await else { return };
//!     loop {
//!         tokio::select! {
//!             frame = from_client.recv() => {
//!                 let Some(frame) = frame else { return };
//!                 if connection.receive(frame).await.is_err() { return }
//!             }
//!             event = connection.next() => {
//!                 let Event::Frame(frame) = event else { return };
//!                 if to_client.send(frame).await.is_err() { return }
//!             }
//!         }
//!     }
//! }
//! ```

mod admission;
mod info;
#[cfg(feature = "long-poll")]
mod long_poll;
mod origin;
mod raw;
#[cfg(any(feature = "websocket", feature = "long-poll"))]
mod router;
mod subprotocol;
#[cfg(feature = "serve")]
mod watch;
#[cfg(feature = "websocket")]
mod websocket;

#[cfg(any(feature = "websocket", feature = "long-poll"))]
pub(crate) use self::admission::connect_request;
#[cfg(feature = "websocket")]
pub(crate) use self::admission::{guard, refuse};
#[cfg(feature = "long-poll")]
pub(crate) use self::long_poll::{AllRemoteSessions, no_secret};
pub(crate) use self::raw::RawMount;
pub use self::{
    info::connect_info,
    origin::check_origin,
    raw::{Action, RawHandle, RawSocket},
    subprotocol::{auth_token, choose_subprotocol},
};
#[cfg(feature = "serve")]
pub(crate) use self::{
    watch::{Watch, Watched},
    websocket::Handover,
};
pub use crate::connection::{ConnectError, ConnectRequest, Connection, Control, Event};
