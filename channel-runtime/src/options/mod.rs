//! How a socket is mounted: its limits and times, in code and from configuration files.

mod config;
#[cfg(feature = "longpoll")]
mod long_poll;
mod socket;

#[cfg(feature = "longpoll")]
pub use self::long_poll::LongPollOptions;
pub use self::{
    config::{SerializerName, SocketConfig},
    socket::SocketOptions,
};
