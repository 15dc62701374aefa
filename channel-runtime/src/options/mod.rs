//! The options of a socket: its limits and times, in code and from configuration files.

mod config;
#[cfg(feature = "long-poll")]
mod long_poll;
#[cfg_attr(not(feature = "serve"), allow(dead_code))]
mod open_files;
#[cfg(feature = "serve")]
mod serve;
mod socket;

#[cfg(feature = "long-poll")]
pub use self::long_poll::LongPollOptions;
#[cfg_attr(not(feature = "serve"), allow(unused_imports))]
pub(crate) use self::open_files::open_files;
#[cfg(feature = "serve")]
pub use self::serve::ServeOptions;
pub use self::socket::SocketOptions;
#[cfg(feature = "serve")]
pub(crate) use self::{serve::ServeTimes, socket::MAX_TIMEOUT};
