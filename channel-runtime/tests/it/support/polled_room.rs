//! A socket with a room, for the tests to poll.

use std::time::Duration;

use channel_runtime::{Binary, LongPollOptions, SocketOptions, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

pub(crate) struct User {
    name: Option<String>,
    token: Option<String>,
    ended: Option<UnboundedSender<Reason>>,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    user: Option<String>,
    token: Option<String>,
    #[serde(default)]
    deny: bool,
    #[serde(default)]
    crash: bool,
}

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(credentials: Credentials, extensions: &Extensions) -> Option<Self> {
        assert!(!credentials.crash, "as told");
        let user = User {
            name: credentials.user,
            token: credentials.token,
            ended: extensions.get().cloned(),
        };
        (!credentials.deny).then_some(user)
    }

    #[id]
    fn id(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("users:{name}"))
    }
}

#[derive(Serialize, Deserialize, Event)]
#[event("said")]
pub(crate) struct Said {
    pub(crate) text: String,
}

pub(crate) struct Room;

#[channel("room:*", socket = User, pushes = [Said])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }

    #[handle_in("sleep")]
    async fn sleep(&mut self, seconds: u64) -> Reply {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(())
    }

    #[handle_in("whoami")]
    fn whoami(&mut self, user: &User, info: &ConnectInfo) -> Reply<Value> {
        Ok(
            json!({"user": user.name, "token": user.token, "transport": info.transport, "auth": info.auth_token()}),
        )
    }

    #[handle_in("echo")]
    fn echo(&mut self, bytes: Binary) -> Reply<Binary> {
        Ok(bytes)
    }

    #[terminate]
    fn terminate(&mut self, reason: Reason, user: &User) {
        if let Some(ended) = &user.ended {
            let _nobody = ended.send(reason);
        }
    }
}

pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// Returns an endpoint whose `/socket` can be polled, with the default options.
pub(crate) fn endpoint() -> Endpoint {
    endpoint_with(SocketOptions::default().long_poll(LongPollOptions::default()))
}

pub(crate) fn endpoint_with(options: SocketOptions) -> Endpoint {
    Endpoint::builder()
        .socket::<User>(options.path("/socket"))
        .build()
        .unwrap()
}

pub(crate) fn said(text: &str) -> Said {
    Said {
        text: text.to_owned(),
    }
}

/// Returns the message as a client of version 2 gets it.
pub(crate) fn heard(topic: &str, text: &str) -> Value {
    json!([null, null, topic, "said", {"text": text}])
}
