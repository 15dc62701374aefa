//! The WebSocket transport.

mod drive;
mod upgrade;

pub(super) use self::upgrade::serve;
