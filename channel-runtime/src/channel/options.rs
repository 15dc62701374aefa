use std::time::Duration;

use tracing::Level;

use crate::telemetry::LogLevel;

/// The options of a channel besides its routing: those of `use Phoenix.Channel`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ChannelOptions {
    /// The level of the log line of a join. Default: `info`.
    pub log_join: LogLevel,
    /// The level of the log line of a client's message. Default: `debug`.
    pub log_handle_in: LogLevel,
    /// The idle time after which the channel gives spare memory back, `None` for never. Default: 15
    /// seconds.
    pub hibernate_after: Option<Duration>,
    /// The time that a channel which must end may take for its current handler and its
    /// `#[terminate]`. It is dropped afterwards. Default: 5 seconds.
    pub shutdown: Duration,
    /// The number of messages of the server's own code, and intercepted broadcasts, that may wait
    /// for the channel. Default: the socket's
    /// [`mailbox_messages`](crate::SocketOptions::mailbox_messages).
    pub mailbox: Option<usize>,
    /// The number of client messages that may be unanswered, for channels with large ones.
    pub(crate) pushes: Option<usize>,
}

impl ChannelOptions {
    /// The options of a `#[channel]` that sets none.
    pub const DEFAULT: ChannelOptions = ChannelOptions {
        log_join: LogLevel::At(Level::INFO),
        log_handle_in: LogLevel::At(Level::DEBUG),
        hibernate_after: Some(Duration::from_secs(15)),
        shutdown: Duration::from_secs(5),
        mailbox: None,
        pushes: None,
    };

    /// Sets [`ChannelOptions::log_join`].
    #[must_use]
    pub const fn log_join(mut self, level: LogLevel) -> Self {
        self.log_join = level;
        self
    }

    /// Sets [`ChannelOptions::log_handle_in`].
    #[must_use]
    pub const fn log_handle_in(mut self, level: LogLevel) -> Self {
        self.log_handle_in = level;
        self
    }

    /// Sets [`ChannelOptions::hibernate_after`] in milliseconds, `None` for never.
    #[must_use]
    pub const fn hibernate_after_ms(mut self, milliseconds: Option<u64>) -> Self {
        self.hibernate_after = match milliseconds {
            Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
            None => None,
        };
        self
    }

    /// Sets [`ChannelOptions::shutdown`] in milliseconds.
    #[must_use]
    pub const fn shutdown_ms(mut self, milliseconds: u64) -> Self {
        self.shutdown = Duration::from_millis(milliseconds);
        self
    }

    /// Sets [`ChannelOptions::mailbox`].
    #[must_use]
    pub const fn mailbox(mut self, messages: usize) -> Self {
        self.mailbox = Some(messages);
        self
    }

    #[allow(dead_code, reason = "used by extensions, each behind a feature")]
    pub(crate) const fn pushes(mut self, messages: usize) -> Self {
        self.pushes = Some(messages);
        self
    }
}

impl Default for ChannelOptions {
    fn default() -> Self {
        ChannelOptions::DEFAULT
    }
}
