//! The effect of a socket's options on admission and on its details of a client.

use axum::Router;
use channel_runtime::{
    CheckOrigin, ConnectInfoKey, CookieSession, LongPollOptions, Session, SocketOptions,
    prelude::*, test::TestClient,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::server::{Server, User, read_answer};

#[tokio::test]
async fn a_strangers_page_is_refused_wherever_the_program_runs() {
    let server = Server::with(SocketOptions::default()).await;
    let own = format!("origin: http://{}", server.addr);
    for (origin, status) in [
        (own.as_bytes(), 101),
        (b"origin: http://127.0.0.1:3000", 101),
        (b"origin: http://evil.net", 403),
        (b"origin: http://127.0.0.1.evil.net", 403),
        (b"origin: null", 403),
        (b"origin: ", 403),
        (b"origin: http://127.0.0.1\xff", 403),
        (b"x-none: sent", 101),
    ] {
        let answer = server.ask("/socket/websocket?vsn=2.0.0", &[origin]).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(origin));
        assert_eq!(answer.body, "");
        drop(answer);
        server.settled(0).await;
    }
    // A browser on `localhost` says so in both headers.
    let request = "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nhost: localhost:4000\r\n\
                   origin: http://localhost:4000\r\n\r\n";
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answer(stream).await.status, 400);
}

#[tokio::test]
async fn the_endpoints_url_says_whose_pages_may_connect() {
    let builder = Endpoint::builder()
        .url("https://example.com")
        .socket::<User>("/socket")
        .socket::<User>(SocketOptions::new("/open").check_origin(CheckOrigin::off()));
    let server = Server::start(builder).await;
    assert_eq!(server.status(&[b"origin: https://example.com"]).await, 101);
    let own = format!("origin: http://{}", server.addr);
    assert_eq!(server.status(&[own.as_bytes()]).await, 403);
    let open = server
        .ask("/open/websocket", &[b"origin: http://evil.net"])
        .await;
    assert_eq!(open.status, 101);
}

#[tokio::test]
async fn the_chosen_subprotocol_is_named_in_the_answer() {
    let server = Server::with(SocketOptions::default().subprotocols(["chat", "phx2"])).await;
    for (offered, expected) in [
        (&b"sec-websocket-protocol: nope, phx2"[..], Some("phx2")),
        (b"sec-websocket-protocol: phx2, chat", Some("chat")),
        (b"x-none: offered", None),
    ] {
        let answer = server.ask("/socket/websocket?vsn=2.0.0", &[offered]).await;
        assert_eq!(answer.status, 101);
        let chosen = answer.head.split("sec-websocket-protocol: ").nth(1);
        assert_eq!(chosen.and_then(|rest| rest.lines().next()), expected);
    }
    server.settled(0).await;
    for offered in [
        &b"sec-websocket-protocol: nope"[..],
        b"sec-websocket-protocol: \xff",
    ] {
        assert_eq!(server.status(&[offered]).await, 403);
    }
    assert_eq!(server.endpoint.connection_count(), 0);
}

#[tokio::test]
async fn an_auth_token_reaches_the_socket_in_either_header() {
    let mut server = Server::with(SocketOptions::default().auth_token(true)).await;
    let token = b"sec-websocket-protocol: phoenix, base64url.bearer.phx.dG9rLTk";
    let answer = server.ask("/socket/websocket?vsn=2.0.0", &[token]).await;
    assert_eq!(answer.status, 101);
    assert!(answer.head.contains("sec-websocket-protocol: phoenix\r\n"));
    assert_eq!(server.seen().await.info.auth_token(), Some("tok-9"));
    assert_eq!(server.status(&[b"x-phoenix-authtoken: tok-8"]).await, 101);
    assert_eq!(server.seen().await.info.auth_token(), Some("tok-8"));
    assert_eq!(server.status(&[]).await, 101);
    assert_eq!(server.seen().await.info.auth_token(), None);
    drop(answer);
    server.settled(0).await;
    for (status, headers) in [
        (
            400,
            b"sec-websocket-protocol: phoenix, base64url.bearer.phx.!!!".as_slice(),
        ),
        (
            400,
            b"sec-websocket-protocol: phoenix, base64url.bearer.phx._w",
        ),
        (400, b"x-phoenix-authtoken: \xff"),
        (403, b"sec-websocket-protocol: other"),
    ] {
        assert_eq!(server.status(&[headers]).await, status);
        assert_eq!(server.endpoint.connection_count(), 0);
    }
}

#[tokio::test]
async fn where_no_auth_token_is_expected_none_is_read() {
    let mut server = Server::with(SocketOptions::default()).await;
    let token = b"sec-websocket-protocol: phoenix, base64url.bearer.phx.!!!";
    let answer = server.ask("/socket/websocket?vsn=2.0.0", &[token]).await;
    assert_eq!(answer.status, 101);
    assert!(!answer.head.contains("sec-websocket-protocol"));
    assert_eq!(server.seen().await.info.auth_token(), None);
}

#[tokio::test]
async fn a_socket_learns_what_it_asks_for() {
    let keys = [
        ConnectInfoKey::PeerAddr,
        ConnectInfoKey::Uri,
        ConnectInfoKey::TraceContext,
        ConnectInfoKey::XHeaders,
    ];
    let mut server = Server::with(SocketOptions::default().connect_info(keys)).await;
    let headers: [&[u8]; 4] = [
        b"traceparent: 00-4bf92f35-00f067aa-01",
        b"x-region: eu",
        b"user-agent: tests",
        b"cookie: session=1",
    ];
    assert_eq!(server.status(&headers).await, 101);
    let info = server.seen().await.info;
    assert_eq!(info.transport, "websocket");
    assert!(info.peer_addr.unwrap().ip().is_loopback());
    assert_eq!(info.uri.as_deref(), Some("/socket/websocket?vsn=2.0.0"));
    assert_eq!(info.header("traceparent"), Some("00-4bf92f35-00f067aa-01"));
    assert_eq!(info.header("x-region"), Some("eu"));
    assert_eq!((&info.user_agent, info.header("cookie")), (&None, None));
}

#[tokio::test]
async fn variables_of_the_path_are_parameters_and_win_over_the_query() {
    let builder = Endpoint::builder()
        .socket::<User>("/socket/{tenant}")
        .socket::<User>("/socket/fixed");
    let endpoint = builder.build().unwrap();
    let app = Router::new().nest("/by/{user}", endpoint.router());
    let mut server = Server::serve(app.merge(endpoint.router()), endpoint.clone()).await;
    for (path, tenant, user) in [
        ("/socket/acme/websocket", Some("acme"), None),
        (
            "/socket/a%20%C3%BC/websocket/?user=u",
            Some("a ü"),
            Some("u"),
        ),
        (
            "/socket/acme/websocket?tenant=evil&tenant[]=x",
            Some("acme"),
            None,
        ),
        ("/socket/fixed/websocket?tenant=mine", Some("mine"), None),
        (
            "/by/ada/socket/acme/websocket?user=eve",
            Some("acme"),
            Some("ada"),
        ),
    ] {
        assert_eq!(server.ask(path, &[]).await.status, 101, "{path}");
        let seen = server.seen().await;
        assert_eq!(
            (seen.tenant.as_deref(), seen.user.as_deref()),
            (tenant, user),
            "{path}"
        );
    }
    server.settled(0).await;
    for (path, status) in [
        ("/socket/%FF/websocket", 400),
        ("/socket//websocket", 400),
        ("/socket/websocket", 404),
        ("/socket/a/b/websocket", 404),
    ] {
        assert_eq!(server.ask(path, &[]).await.status, status, "{path}");
    }
    assert_eq!(endpoint.connection_count(), 0);
    TestClient::connect_at(&endpoint, "/socket/acme", ())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_page_with_the_csrf_token_brings_its_session_to_the_socket() {
    let cookie = CookieSession::new("_app").unwrap();
    let options = SocketOptions::default()
        .session(cookie.clone())
        .long_poll(LongPollOptions::default());
    let mut server = Server::with(options).await;
    let mut session = Session::new().unwrap();
    session.insert("user_id", &42).unwrap();
    let written = cookie.write(&server.endpoint, &session).unwrap();
    let csrf = cookie.csrf_token(&server.endpoint, &session).unwrap();
    let sent = format!("cookie: {}", written.to_str().unwrap());
    let sent = sent.split(';').next().unwrap().as_bytes();
    for transport in ["websocket", "longpoll"] {
        for (query, headers, expected) in [
            (format!("_csrf_token={csrf}"), &[sent][..], Some(42)),
            (format!("_csrf_token={csrf}"), &[], None),
            (format!("_csrf_token[]={csrf}"), &[sent], None),
            (String::new(), &[sent], None),
        ] {
            let path = format!("/socket/{transport}?vsn=2.0.0&{query}");
            let answer = server.ask(&path, headers).await;
            assert!([101, 200].contains(&answer.status), "{}", answer.head);
            let seen = server.seen().await.info;
            assert_eq!(seen.transport, transport);
            let user: Option<u64> = seen.session().and_then(|session| session.get("user_id"));
            assert_eq!(user, expected, "{path}");
        }
    }
}
