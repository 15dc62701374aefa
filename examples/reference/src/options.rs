//! The variants of the socket: one path for each set of options.

use std::time::Duration;

use axum::{http::StatusCode, response::IntoResponse};
use channel_runtime::{CheckOrigin, LongPollOptions, SocketOptions, transport::ConnectError};

/// Returns each path with its options. Every page may connect, except where origins are tested. All
/// but those about WebSockets alone can be polled too.
pub(crate) fn mounts() -> [(&'static str, SocketOptions); 10] {
    let polled = LongPollOptions::default;
    // Long enough for a client on a busy machine, whose polls must arrive within a multiple of it.
    let idle = polled().window(Duration::from_secs(2));
    let example = polled().check_origin(CheckOrigin::list(&ORIGINS[..1]));
    let only = |check| SocketOptions::default().check_origin(check);
    [
        ("/socket", open().long_poll(polled())),
        (
            "/idle",
            open().timeout(Duration::from_secs(3)).long_poll(idle),
        ),
        ("/small", open().max_frame_size(1024)),
        (
            "/origin",
            only(CheckOrigin::list(ORIGINS)).long_poll(example),
        ),
        ("/origin_true", only(CheckOrigin::host())),
        ("/origin_conn", only(CheckOrigin::connection())),
        ("/sub", open().subprotocols(["chat", "phx2"])),
        ("/auth", open().auth_token(true).long_poll(polled())),
        ("/errh", open().error_handler(tell_why).long_poll(polled())),
        // Compression is an offer of the client, and this server does not accept it.
        ("/deflate", open()),
    ]
}

/// Returns options that accept every page.
pub(crate) fn open() -> SocketOptions {
    SocketOptions::default().check_origin(CheckOrigin::off())
}

const ORIGINS: [&str; 3] = [
    "https://example.com",
    "//*.example.org",
    "//port.example.net:8080",
];

/// Answers a refusal with its reason, written as the original writes it.
fn tell_why(error: &ConnectError) -> impl IntoResponse + use<> {
    let reason = match error {
        ConnectError::Refused(refusal) => refusal.reason(),
        _ => None,
    };
    match reason {
        Some(reason) => (StatusCode::TOO_MANY_REQUESTS, format!(":{reason}")),
        None => (error.status(), String::new()),
    }
}
