/// The identity of one join of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChannelId(pub(crate) u64);

/// The reason why a channel did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// It has ended.
    Ended,
    /// Its mailbox is full.
    Full,
}
