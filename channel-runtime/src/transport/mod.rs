//! Transports: how frames reach a connection and leave it. They know no channel.

#[cfg(feature = "websocket")]
mod websocket;
