//! How a socket is mounted: its limits and times, in code and from configuration files.

mod config;
#[cfg(feature = "longpoll")]
mod long_poll;
#[cfg(any(feature = "serve", feature = "uploads"))]
mod open_files;
#[cfg(feature = "serve")]
mod serve;
mod socket;
#[cfg(feature = "uploads")]
mod upload;

#[cfg(feature = "longpoll")]
pub use self::long_poll::LongPollOptions;
#[cfg(any(feature = "serve", feature = "uploads"))]
use self::open_files::open_files;
#[cfg(feature = "serve")]
pub use self::serve::ServeOptions;
#[cfg(feature = "uploads")]
pub use self::upload::UploadOptions;
pub use self::{
    config::{SerializerName, SocketConfig},
    socket::SocketOptions,
};
#[cfg(feature = "serve")]
pub(crate) use self::{serve::ServeTimes, socket::MAX_TIMEOUT};
