//! Refused clients: the answers to them, and that nothing is left of them.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use channel_runtime::{
    SocketOptions,
    prelude::*,
    protocol::Frame,
    test::TestClient,
    transport::{Action, ConnectError, ConnectRequest, RawHandle, RawSocket},
};

use crate::support::server::{Server, User, query};

#[tokio::test]
async fn a_transport_that_is_switched_off_has_no_route() {
    let server = Server::with(SocketOptions::default().websocket(false)).await;
    assert_eq!(server.status(&[]).await, 404);
}

fn tell_why(error: &ConnectError) -> Response {
    match error {
        ConnectError::Refused(refusal) => {
            let reason = refusal.reason().unwrap_or_default().to_owned();
            (
                StatusCode::TOO_MANY_REQUESTS,
                [("retry-after", "7")],
                reason,
            )
                .into_response()
        }
        ConnectError::Crashed => panic!("the handler crashes as well"),
        other => (other.status(), other.to_string()).into_response(),
    }
}

#[tokio::test]
async fn an_error_handler_answers_those_who_are_not_let_in() {
    let options = SocketOptions::default()
        .error_handler(tell_why)
        .subprotocols(["chat"]);
    let server = Server::with(options).await;
    let refused = server.ask(&query("deny=rate_limit"), &[]).await;
    assert_eq!((refused.status, refused.body.as_str()), (429, "rate_limit"));
    assert!(refused.head.contains("retry-after: 7\r\n"));
    for (sent, header, status, body) in [
        ("deny=crash", &b"x-none: sent"[..], 500, ""),
        ("vsn=9.0.0", b"x-none: sent", 403, "unsupported vsn"),
        (
            "",
            b"origin: http://evil.net",
            403,
            "the origin is not allowed",
        ),
        (
            "",
            b"sec-websocket-protocol: v9",
            403,
            "none of the subprotocols is spoken here",
        ),
    ] {
        let answer = server.ask(&query(sent), &[header]).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
    assert_eq!(server.endpoint.connection_count(), 0);

    let error = ConnectError::Refused(Refusal::new("rate_limit"));
    let answer = server.endpoint.refusal("/socket", &error);
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let plain = server.endpoint.refusal("/nowhere", &error);
    assert_eq!(plain.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_endpoint_that_is_full_refuses_until_somebody_leaves() {
    let builder = Endpoint::builder()
        .max_connections(3)
        .socket::<User>("/socket");
    let server = Server::start(builder).await;
    let path = "/socket/websocket?vsn=2.0.0";
    let all = (0..20).map(|_| server.ask(path, &[]));
    let mut answers = futures_util::future::join_all(all).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let in_there = statuses.iter().filter(|status| **status == 101).count();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!((in_there, refused), (3, 17), "{statuses:?}");
    assert_eq!(server.endpoint.connection_count(), 3);
    answers.retain(|answer| answer.status == 101);
    answers.pop();
    server.settled(2).await;
    assert_eq!(server.ask(path, &[]).await.status, 101);
    let refused = TestClient::connect(&server.endpoint, ()).await.unwrap_err();
    assert_eq!(refused.reason(), Some("too many connections"));
}

#[tokio::test]
async fn floods_and_nonsense_are_answered_and_leave_nothing() {
    let server = Server::with(SocketOptions::default().auth_token(true)).await;
    let many: Vec<String> = (0..200).map(|n| format!("x-{n}: flood")).collect();
    let many: Vec<&[u8]> = many.iter().map(String::as_bytes).collect();
    assert_eq!(server.status(&many).await, 431);
    let long = format!("x-long: {}", "x".repeat(1 << 20));
    assert_eq!(server.status(&[long.as_bytes()]).await, 431);
    let long = |length: usize| query(&"&a=1".repeat(length / 4));
    assert_eq!(server.ask(&long(100_000), &[]).await.status, 414);
    // A query that still fits is just long.
    assert_eq!(server.ask(&long(60_000), &[]).await.status, 101);
    for (sent, status) in [
        ("vsn[]=2.0.0", 403),
        ("vsn[a]=2.0.0", 403),
        ("vsn=2.0.0&vsn[]=2.0.0", 403),
        ("user=a&user=b", 403),
        ("user[]=a", 101),
        ("%", 101),
        ("user=%FF%FE", 101),
        ("&&&=&", 101),
    ] {
        let answer = server.ask(&query(sent), &[]).await;
        assert_eq!(answer.status, status, "{sent}");
    }
    for headers in [
        &[&b"connection: \xff"[..]][..],
        &[b"user-agent: \xff", b"x-region: \xff", b"cookie: \xff"],
    ] {
        assert_eq!(server.status(headers).await, 101);
    }
    server.settled(0).await;
}

/// Returns a handshake without the lines that begin with these words, and with these lines.
fn handshake(path: &str, without: &str, lines: &[&str]) -> Vec<u8> {
    let valid = [
        "host: localhost",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let kept = valid
        .iter()
        .filter(|line| without.is_empty() || !line.starts_with(without));
    let lines: String = kept
        .chain(lines)
        .map(|line| format!("{line}\r\n"))
        .collect();
    format!("GET {path} HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

#[tokio::test]
async fn a_broken_handshake_is_refused_and_no_socket_is_asked() {
    let builder = Endpoint::builder()
        .socket::<User>("/socket")
        .raw_socket::<Silent>("/raw");
    let mut server = Server::start(builder).await;
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    for path in ["/socket/websocket?vsn=2.0.0&user=broken", "/raw/websocket"] {
        for (without, lines, status) in [
            ("sec-websocket-version", &[][..], 426),
            ("sec-websocket-version", &["sec-websocket-version: 8"], 426),
            ("", &["sec-websocket-version: 13"], 426),
            ("sec-websocket-key", &[], 400),
            ("sec-websocket-key", &["sec-websocket-key: short"], 400),
            ("", &[key], 400),
            ("host", &[], 400),
            ("", &["host: localhost"], 400),
            ("", &["content-length: 3"], 400),
            ("", &["transfer-encoding: chunked"], 400),
        ] {
            let mut request = handshake(path, without, lines);
            request.extend_from_slice(b"0\r\n\r\n");
            let answer = server.send(&request).await;
            assert_eq!(answer.status, status, "{path}, {without:?}: {lines:?}");
            if status == 426 {
                let head = &answer.head;
                assert!(head.contains("sec-websocket-version: 13\r\n"), "{head}");
                assert!(head.contains("upgrade: websocket\r\n"), "{head}");
            }
        }
        let old = handshake(path, "", &[]);
        let old = String::from_utf8(old)
            .unwrap()
            .replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(server.send(old.as_bytes()).await.status, 400);
        let empty = handshake(path, "", &["content-length: 0"]);
        assert_eq!(server.send(&empty).await.status, 101);
    }
    let valid = handshake("/socket/websocket?vsn=2.0.0&user=valid", "", &[]);
    assert_eq!(server.send(&valid).await.status, 101);
    // The one with an empty body and the valid one were accepted, in the order they came.
    assert_eq!(server.seen().await.user.as_deref(), Some("broken"));
    assert_eq!(server.seen().await.user.as_deref(), Some("valid"));
}

/// A raw socket that accepts everything.
struct Silent;

impl RawSocket for Silent {
    type Message = ();

    async fn connect(_: &ConnectRequest, _: &Endpoint) -> Result<Self, Refusal> {
        Ok(Silent)
    }

    async fn handle_in(&mut self, _: Frame, _: &RawHandle<Self>) -> Action {
        Action::Continue
    }
}
