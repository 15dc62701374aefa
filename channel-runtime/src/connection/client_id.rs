use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::Topic;

/// The identity of a connection for limits that count by client or by user.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientId {
    connection: u64,
    /// The socket's own id, which all connections of one user may share.
    user: Option<Topic>,
}

/// The key under which messages are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClientKey {
    Connection(u64),
    User(Topic),
}

impl ClientId {
    /// Creates the identity of a new connection of the user that the socket's `#[id]` names.
    pub(crate) fn new(user: Option<Topic>) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        ClientId {
            connection: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            user,
        }
    }

    pub(crate) fn connection(&self) -> ClientKey {
        ClientKey::Connection(self.connection)
    }

    /// Returns the user, or the connection if its socket has no id.
    pub(crate) fn user(&self) -> ClientKey {
        match &self.user {
            Some(user) => ClientKey::User(user.clone()),
            None => self.connection(),
        }
    }
}
