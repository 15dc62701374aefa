//! The socket: who connects.

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
    /// Lets everybody in who does not ask to be refused: `deny=reason` is, with a reason, and
    /// any other `deny` without one.
    ///
    /// Where the socket takes auth tokens, the token is the user.
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

    /// `users:NAME` is what `POST /disconnect` takes.
    #[id]
    fn id(&self) -> Option<String> {
        self.user.as_ref().map(|user| format!("users:{user}"))
    }
}
