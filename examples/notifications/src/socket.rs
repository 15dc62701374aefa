use channel_runtime::prelude::*;
use serde::Deserialize;

use crate::{channel::NotificationChannel, directory::Directory};

/// One connection of a user.
pub(crate) struct UserSocket {
    pub(crate) user: String,
    pub(crate) directory: Directory,
}

#[derive(Deserialize)]
struct Credentials {
    user: String,
}

#[socket(channels = [NotificationChannel])]
impl UserSocket {
    #[connect]
    fn connect(credentials: Credentials, extensions: &Extensions) -> Result<Self, Refusal> {
        if credentials.user.is_empty() {
            return Err(Refusal::new("a user is needed"));
        }
        let directory = extensions.get::<Directory>().cloned().unwrap_or_default();
        Ok(Self {
            user: credentials.user,
            directory,
        })
    }

    /// Names the connection, so that `endpoint.disconnect("users:ada")` ends all of ada's.
    #[id]
    fn id(&self) -> String {
        format!("users:{}", self.user)
    }
}
