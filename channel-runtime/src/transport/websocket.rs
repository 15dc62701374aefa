//! The WebSocket transport.

mod codec;
mod drive;
mod handshake;
mod upgrade;

#[cfg(feature = "serve")]
pub(crate) use self::upgrade::Handover;
pub(super) use self::upgrade::serve;
