//! How a socket is mounted: its limits and times, in code and from configuration files.

mod config;
#[cfg(feature = "longpoll")]
mod long_poll;
#[cfg(feature = "serve")]
mod serve;
mod socket;

#[cfg(feature = "longpoll")]
pub use self::long_poll::LongPollOptions;
#[cfg(feature = "serve")]
pub use self::serve::ServeOptions;
pub use self::{
    config::{SerializerName, SocketConfig},
    socket::SocketOptions,
};
#[cfg(feature = "serve")]
pub(crate) use self::{serve::ServeTimes, socket::MAX_TIMEOUT};
