//! The socket: accepts and refuses clients.

use channel_runtime::prelude::*;
use serde::Deserialize;

use crate::room::Room;

/// One client's connection.
pub(crate) struct UserSocket {
    /// The name it connected with.
    pub(crate) user: Option<String>,
}

/// The connect parameters.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    user: Option<String>,
    deny: Option<String>,
}

#[socket(channels = [Room])]
impl UserSocket {
    /// Accepts every client that does not ask to be refused: `deny=reason` refuses with a reason,
    /// and any other `deny` without one.
    ///
    /// If the socket takes auth tokens, the token is the user.
    #[connect]
    fn connect(credentials: Credentials, info: &ConnectInfo) -> Result<Self, Refusal> {
        match credentials.deny.as_deref() {
            None => Ok(UserSocket {
                user: info.auth_token().map(str::to_owned).or(credentials.user),
            }),
            Some("reason") => Err(Refusal::new("rate_limit")),
            Some(_) => Err(Refusal::empty()),
        }
    }

    /// Returns `users:NAME`, the id that `POST /disconnect` takes.
    #[id]
    fn id(&self) -> Option<String> {
        self.user.as_ref().map(|user| format!("users:{user}"))
    }
}
