//! The token of a polled session, and the secret behind it, show in no log.
//!
//! A program of its own: its test has a log, so that no other can switch off its lines.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

// Other tests use the rest of these.
#[allow(dead_code)]
#[path = "long_poll/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "long_poll/room.rs"]
mod room;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use channel_runtime::{Endpoint, LogLevel, LongPollOptions, SocketOptions, Token};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    client::{Client, get},
    room::User,
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

const SECRET: &[u8; 32] = b"hush hush hush hush hush hush hu";

/// A conversation with all that can go wrong; the tokens that were in it.
async fn conversation() -> Vec<String> {
    let options = SocketOptions::default().transport_log(LogLevel::At(tracing::Level::INFO));
    let endpoint = Endpoint::builder()
        .secret_key(SECRET)
        .socket::<User>(
            options
                .long_poll(LongPollOptions::default())
                .path("/socket"),
        )
        .build()
        .unwrap();
    let login: Token = endpoint.token("login");
    tracing::info!(?endpoint, ?login, "as a user would log them");
    let encrypted = login.encrypt("hush").unwrap();
    let error = login.verify::<String>(&*encrypted).unwrap_err();
    tracing::info!(%error, ?error, "of a token");

    let query = format!("vsn=2.0.0&token={encrypted}&token=null");
    let client = Client::open_at(endpoint.router(), "/socket", &query).await;
    client.join("room:1").await;
    let ping = json!(["1", "2", "room:1", "ping", {"token": encrypted}]);
    assert_eq!(client.publish(&[ping]).await, 200);
    client.messages().await;
    assert_eq!(client.post("text/plain", "nonsense").await.status(), 400);
    assert_eq!(client.heartbeat().await, 410);
    let again = client.poll().await;
    assert_eq!(again.status(), 410);
    let denied = format!(
        "/socket/longpoll?deny=true&token={encrypted}&token={}",
        client.token
    );
    assert_eq!(get(&client.app, &denied, None).await.status(), 403);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(endpoint.long_poll_session_count(), 0);
    vec![client.token.clone(), again.token().to_owned(), encrypted]
}

#[test]
fn no_token_and_no_secret_reaches_the_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let tokens = tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(conversation())
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let secrets = tokens
        .iter()
        .map(String::as_str)
        .chain(["hush", "104, 117, 115, 104"]);
    for secret in secrets {
        let leak = log.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret}");
    }
    for said in [
        "request transport=\"longpoll\" method=POST",
        "the token is invalid",
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
}
