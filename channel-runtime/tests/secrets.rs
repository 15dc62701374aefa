//! What clients send in confidence shows in no log.
//!
//! A program of its own: every test has a log, so that none can switch off the lines of another.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

#[path = "connect/server.rs"]
mod server;

use std::{
    io,
    sync::{Arc, Mutex},
};

use channel_runtime::{
    ConnectInfoKey, LogLevel, SocketOptions,
    transport::{ConnectRequest, connect_info},
};
use tracing_subscriber::fmt::MakeWriter;

use crate::server::{Server, query};

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

/// Everything that is logged while a test runs on one thread.
fn logged(test: impl Future<Output = ()>) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(test);
    });
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn no_secret_of_a_client_reaches_the_log() {
    let log = logged(async {
        let options = SocketOptions::default()
            .auth_token(true)
            .transport_log(LogLevel::At(tracing::Level::INFO))
            .connect_info([
                ConnectInfoKey::Uri,
                ConnectInfoKey::XHeaders,
                ConnectInfoKey::SecWebsocketHeaders,
            ]);
        let mut server = Server::with(options).await;
        let headers: [&[u8]; 4] = [
            // `hush-auth` in base64.
            b"sec-websocket-protocol: phoenix, base64url.bearer.phx.aHVzaC1hdXRo",
            b"cookie: session=hush",
            b"authorization: Bearer hush",
            b"x-api-token: hush",
        ];
        let answer = server.ask(&query("token=hush&user=ada"), &headers).await;
        assert_eq!(answer.status, 101);
        assert!(!answer.head.contains("ahvzac"), "{}", answer.head);
        let seen = server.seen().await;
        assert_eq!(seen.info.auth_token(), Some("hush-auth"));
        assert_eq!(seen.info.header("x-api-token"), Some("hush"));
        assert_eq!(
            (seen.tenant.as_deref(), seen.user.as_deref()),
            (None, Some("ada"))
        );
        // As a user would log it.
        tracing::info!(?seen, "let in");

        for (path, header, status) in [
            (query("token=hush&deny=no"), &b"x-none: sent"[..], 403),
            (query("token=hush&deny=crash"), b"x-none: sent", 500),
            (query("token=hush&vsn=9"), b"x-none: sent", 403),
            (query("token=hush"), b"x-phoenix-authtoken: hush\xff", 400),
            (
                query("token=hush"),
                b"sec-websocket-protocol: base64url.bearer.phx.aHVzaC1hdXRo!",
                400,
            ),
            (query("token=hush"), b"origin: http://evil.net", 403),
        ] {
            let answer = server.ask(&path, &[header]).await;
            assert_eq!(answer.status, status);
            assert!(!answer.body.contains("hush"), "{}", answer.body);
        }
        drop(answer);
        server.settled(0).await;
    });
    for secret in ["hush", "aHVzaC1hdXRo"] {
        let leak = log.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None);
    }
    // The lines are there, and say what they should.
    for said in [
        "INFO channel_runtime::telemetry: request transport=\"websocket\" method=GET path=\"/socket/websocket\"",
        "connect refused transport=\"websocket\" why=the auth token cannot be decoded",
        "http://evil.net",
        "`EndpointBuilder::url`",
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
}

#[test]
fn a_full_endpoint_says_so() {
    let log = logged(async {
        let builder = channel_runtime::Endpoint::builder().max_connections(1);
        let server = Server::start(builder.socket::<crate::server::User>("/socket")).await;
        let one = server.ask(&query(""), &[]).await;
        assert_eq!(one.status, 101);
        assert_eq!(server.status(&[]).await, 503);
        assert_eq!(server.endpoint.connection_count(), 1, "at {}", server.addr);
    });
    assert!(
        log.contains("WARN") && log.contains("max_connections=1"),
        "{log}"
    );
}

#[test]
fn what_a_transport_holds_can_be_shown() {
    let request = axum::http::Request::builder()
        .uri("/socket/websocket?token=hush")
        .header("x-secret", "hush")
        .body(())
        .unwrap();
    let (request, ()) = request.into_parts();
    let keys = [ConnectInfoKey::Uri, ConnectInfoKey::XHeaders];
    let params = channel_runtime::Params::from_query("token=hush&user=ada");
    let mut connect = ConnectRequest::new("pigeon", params);
    connect.info = connect_info("pigeon", &keys, &request).with_auth_token("hush");
    let shown = format!("{connect:?}");
    assert!(shown.contains("ada") && !shown.contains("hush"), "{shown}");
}

#[cfg(feature = "longpoll")]
#[test]
fn times_that_the_official_client_cannot_meet_are_warned_of_and_others_are_not() {
    use channel_runtime::{Endpoint, LongPollOptions, SocketConfig};
    use std::time::Duration;

    let build = |options: SocketOptions| {
        logged(async move {
            let builder = Endpoint::builder();
            let mounted = builder.socket_with::<crate::server::User>("/here", options);
            mounted.build().unwrap();
        })
    };
    let seconds = Duration::from_secs;
    let timeout = |time| build(SocketOptions::default().timeout(seconds(time)));
    let window = |time| {
        let polled = LongPollOptions::default().window(seconds(time));
        build(SocketOptions::default().long_poll(polled))
    };
    for log in [
        timeout(30),
        timeout(39),
        timeout(1),
        window(20),
        window(16),
        window(60),
    ] {
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("WARN") && log.contains("/here"), "{log}");
        assert!(log.contains("official client"), "{log}");
    }
    for log in [timeout(40), timeout(60), timeout(90), window(15), window(5)] {
        assert_eq!(log, "");
    }
    let polled = SocketOptions::default()
        .websocket(false)
        .timeout(seconds(1));
    assert_eq!(build(polled.long_poll(LongPollOptions::default())), "");

    let file = r#"{"path": "/file", "timeout_ms": 30000, "long_poll": {"window_ms": 20000}}"#;
    let config: SocketConfig = serde_json::from_str(file).unwrap();
    let log = logged(async {
        let builder = Endpoint::builder().socket_from::<crate::server::User>(config);
        builder.build().unwrap();
    });
    assert_eq!(log.lines().count(), 2, "{log}");
}
