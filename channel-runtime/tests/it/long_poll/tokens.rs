//! The token of a session, which alone identifies its client.

use std::time::Duration;

use channel_runtime::{Endpoint, LongPollOptions, SocketOptions};
use tokio::time::sleep;

use crate::support::{
    poll_client::{Client, get},
    polled_room::{User, endpoint},
};

const SECRET: [u8; 32] = [3; 32];

fn pollable() -> SocketOptions {
    SocketOptions::default().long_poll(LongPollOptions::default())
}

fn two_sockets() -> Endpoint {
    Endpoint::builder()
        .secret_key(SECRET)
        .socket::<User>(pollable().path("/socket"))
        .socket::<User>(pollable().path("/other"))
        .build()
        .unwrap()
}

/// Checks that a token has no session: a poll with it opens a new one, and publishing is refused.
async fn is_worth_nothing(token: &str, app: &axum::Router, path: &'static str) {
    let stranger = Client {
        app: app.clone(),
        path,
        token: token.to_owned(),
    };
    for answer in [stranger.poll().await, stranger.poll_by_header().await] {
        assert_eq!(answer.status(), 410, "{token}");
        assert_ne!(answer.token(), token);
    }
    assert_eq!(stranger.heartbeat().await, 410, "{token}");
}

#[tokio::test(start_paused = true)]
async fn a_forged_token_is_worth_nothing() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    let token = &client.token;
    let flipped = match token.strip_suffix('A') {
        Some(start) => format!("{start}B"),
        None => format!("{}A", &token[..token.len() - 1]),
    };
    for forged in [
        &token[..token.len() - 1],
        &flipped,
        "",
        "bogus",
        "null",
        "%00",
        ".....",
    ] {
        is_worth_nothing(forged, &client.app, "/socket").await;
    }
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_post_without_a_token_is_refused() {
    let app = endpoint().router();
    let request = axum::http::Request::post("/socket/longpoll?vsn=2.0.0");
    let request = request.body(axum::body::Body::from("[]")).unwrap();
    assert_eq!(
        crate::support::poll_client::send(&app, request)
            .await
            .status(),
        410
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_is_worth_nothing_at_another_socket_or_endpoint() {
    let endpoint = two_sockets();
    let client = Client::open(&endpoint).await;
    is_worth_nothing(&client.token, &endpoint.router(), "/other").await;
    // With the same secret it is genuine, but its session is elsewhere.
    is_worth_nothing(&client.token, &two_sockets().router(), "/socket").await;
    is_worth_nothing(&client.token, &self::endpoint().router(), "/socket").await;
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_found_from_any_router_of_its_endpoint() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    let other = Client {
        app: endpoint.router(),
        ..client.clone()
    };
    other.lives().await;
    client.lives().await;
}

#[tokio::test]
async fn a_token_that_is_too_old_is_worth_nothing() {
    // The age of a token follows the wall clock, which a test cannot stop.
    let open = async |max_age| {
        let options = LongPollOptions::default().token_max_age(max_age);
        let endpoint = Endpoint::builder()
            .socket::<User>(SocketOptions::new("/socket").long_poll(options))
            .build()
            .unwrap();
        Client::open(&endpoint).await
    };
    let second = Duration::from_secs(1);
    let (old, young) = (open(second).await, open(second * 3600).await);
    sleep(second + Duration::from_millis(100)).await;
    is_worth_nothing(&old.token, &old.app, "/socket").await;
    young.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_keeps_the_sessions_token() {
    let old = two_sockets().token("anything").sign("x").unwrap();
    let rotated = Endpoint::builder()
        .secret_key([4; 32])
        .secret_key(SECRET)
        .build()
        .unwrap();
    assert_eq!(rotated.token("anything").verify(&*old), Ok("x".to_owned()));
    let short = Endpoint::builder().secret_key([4; 31]).build();
    assert!(short.unwrap_err().to_string().contains("32 bytes"));
    let own = Endpoint::builder().build().unwrap();
    assert!(own.token("anything").verify::<String>(&*old).is_err());
}

#[tokio::test(start_paused = true)]
async fn every_session_has_a_token_of_its_own() {
    let endpoint = endpoint();
    let uri = "/socket/longpoll?vsn=2.0.0";
    let mut tokens = std::collections::HashSet::new();
    for _ in 0..100 {
        let answer = get(&endpoint.router(), uri, None).await;
        assert!(tokens.insert(answer.token().to_owned()));
    }
}
