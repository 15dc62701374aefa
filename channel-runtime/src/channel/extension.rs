//! Extension points for the rest of the crate.

use super::{Channel, Socket};
use crate::{endpoint::Endpoint, error::ConfigError, options::SocketOptions};

/// A part of a channel that another part of the crate adds, such as its uploads: a value that
/// lives as long as the channel. `()` adds nothing and has no size.
pub trait ChannelExtension<C: Channel>: Default + Send + Sync + 'static {
    /// True if clients send files to the channel.
    const TAKES_UPLOADS: bool = false;

    /// Checks the options of a socket that mounts the channel, when the endpoint is built.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the option which cannot work.
    fn check(_options: &SocketOptions) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Returns the number of files that the extension may keep open at once, over all channels of
    /// the endpoint.
    fn open_files(_endpoint: &Endpoint) -> usize {
        0
    }

    /// Runs once the client has been told that it has joined.
    fn joined(_socket: &Socket<C>) {}

    /// Runs when the channel ends; its connection may be `gone`.
    fn ended(&self, _gone: bool) {}
}

impl<C: Channel> ChannelExtension<C> for () {}
