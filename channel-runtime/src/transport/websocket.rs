//! The WebSocket transport.

mod codec;
mod drive;
mod upgrade;

pub(super) use self::upgrade::serve;
