//! The token of a polled session, and the secret behind it, show in no log.

use std::time::Duration;

use channel_runtime::{Endpoint, LogLevel, LongPollOptions, SocketOptions, Token};
use serde_json::json;
use tokio::runtime::Builder;

use crate::{
    log::logged_on,
    support::{
        poll_client::{Client, get},
        polled_room::User,
    },
};

const SECRET: &[u8; 32] = b"hush hush hush hush hush hush hu";

/// Runs a conversation with every possible failure, and returns its tokens.
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
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().start_paused(true);
    let (tokens, log) = logged_on(&mut runtime, tracing::Level::TRACE, conversation());
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
