//! The secrets of clients, which show in no log.

use channel_runtime::{
    ConnectInfoKey, LogLevel, SocketOptions,
    transport::{ConnectRequest, connect_info},
};

use crate::support::server::{Server, query};

/// Returns everything that is logged while a test runs.
fn logged(test: impl Future<Output = ()>) -> String {
    crate::log::logged(tracing::Level::TRACE, test)
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
        // As a user's own code would log it.
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
    // The lines are present, with the expected values.
    for said in [
        "INFO channel_runtime::telemetry: request transport=\"websocket\" method=GET path=\"/socket/websocket\"",
        "connect refused transport=\"websocket\" reason=the auth token cannot be decoded",
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
        let server = Server::start(builder.socket::<crate::support::server::User>("/socket")).await;
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

#[cfg(feature = "long-poll")]
#[test]
fn times_that_the_official_client_cannot_meet_are_warned_of_and_others_are_not() {
    use channel_runtime::{Endpoint, LongPollOptions, SocketOptions};
    use std::time::Duration;

    let build = |options: SocketOptions| {
        logged(async move {
            let builder = Endpoint::builder();
            let mounted = builder.socket::<crate::support::server::User>(options.path("/here"));
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
    let config: SocketOptions = serde_json::from_str(file).unwrap();
    let log = logged(async {
        let builder = Endpoint::builder().socket::<crate::support::server::User>(config);
        builder.build().unwrap();
    });
    assert_eq!(log.lines().count(), 2, "{log}");
}

/// The log of a client that sends terminal commands wherever it may choose a text.
mod hostile {
    use channel_runtime::{
        CheckOrigin, Endpoint, Error, FilterParameters, LogLevel, Params, Payload, SocketOptions,
        prelude::*,
        protocol::Frame,
        transport::{ConnectError, ConnectRequest, Connection, Event as Out},
    };
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::logged;
    use crate::support::server::Server;

    /// Ends a line, commands a terminal in two ways, ends a line again, and turns the direction.
    const EVIL: &str = "\n\r\x1b[2J\x07\x7f\u{9b}2J\u{85}\u{2028}\u{2029}\u{202e}\u{2066}END";

    struct Visitor;

    #[derive(Deserialize)]
    struct Wish {
        wish: Option<String>,
        #[serde(default)]
        #[expect(dead_code)]
        number: u8,
    }

    #[socket(channels = [Diary])]
    impl Visitor {
        #[connect]
        fn connect(wish: Wish) -> Result<Self, Refusal> {
            match wish.wish.as_deref() {
                Some(why) if why.starts_with("panic") => panic!("{why}"),
                Some(why) => Err(Refusal::new(why)),
                None => Ok(Visitor),
            }
        }
    }

    #[derive(Serialize, Deserialize, Event)]
    #[event("typed")]
    struct Typed {
        n: u8,
    }

    struct Diary;

    #[channel("diary:*", pushes = [Typed], intercept = ["typed"], log_join = info, log_handle_in = info)]
    impl Diary {
        #[join("diary:{name}")]
        fn join(name: String, params: Value) -> Result<Self, Refusal> {
            if params.get("panic").is_some() {
                panic!("{name}");
            }
            tracing::info!("from a join");
            Ok(Diary)
        }

        #[handle_in("panic")]
        fn crash(&mut self, words: String) {
            panic!("{words}");
        }

        #[handle_in("stop")]
        fn stop(&mut self, words: String) -> Stop {
            Stop::error(words)
        }

        #[handle_in("fail")]
        fn fail(&mut self, words: String) -> Reply {
            Err(Error::Encode(channel_runtime::EncodeError::Json(
                serde::ser::Error::custom(words),
            ))
            .into())
        }

        #[handle_in]
        fn other(&mut self, payload: Payload) -> Reply<usize> {
            tracing::info!("from a handler");
            Ok(payload.len())
        }

        #[handle_out("typed")]
        fn typed(&mut self, typed: Typed, socket: &Socket<Self>) -> Result<(), Error> {
            socket.push(&typed)
        }
    }

    async fn connect(endpoint: &Endpoint, query: &str) -> Result<Connection, ConnectError> {
        let request = ConnectRequest::new("pigeon", Params::from_query(query));
        endpoint.connect("/socket", request).await
    }

    /// Sends a message, and waits for the first frame that answers.
    async fn ask(client: &mut Connection, message: Value) {
        client
            .receive(Frame::Text(message.to_string().into()))
            .await
            .unwrap();
        answered(client).await;
    }

    async fn answered(client: &mut Connection) {
        let patience = std::time::Duration::from_secs(60);
        let frame = tokio::time::timeout(patience, client.next()).await;
        assert!(matches!(frame, Ok(Out::Frame(_))), "{frame:?}");
    }

    async fn everywhere() {
        let options = SocketOptions::default()
            .transport_log(LogLevel::At(tracing::Level::INFO))
            .check_origin(CheckOrigin::by(|origin| panic!("{}{EVIL}", origin.host())))
            .error_handler(|error| -> String { panic!("{error}") });
        let builder = Endpoint::builder()
            .filter_parameters(FilterParameters::default().also(["diary key"]))
            .socket::<Visitor>(options.clone().path("/socket"))
            .socket::<Visitor>(
                options
                    .check_origin(CheckOrigin::off())
                    .path("/of/{tenant}"),
            );
        let server = Server::start(builder).await;
        let endpoint = &server.endpoint;

        // While connecting.
        let evil_query = "wish=%0A%1B%5B2J%C2%9B%E2%80%AE";
        let raw = "\u{9b}2J\u{202e}\u{2028}".as_bytes();
        let header = |name: &str| [name.as_bytes(), b": \xc2\x9b2J", raw].concat();
        for path in [
            format!("/of/x/websocket?{evil_query}"),
            format!("/of/x/websocket?wish=panic{}", &evil_query[5..]),
            format!("/socket/websocket?{evil_query}"),
            "/of/\u{9b}2J\u{202e}/websocket?vsn=2.0.0".to_owned(),
            "/of/%1B%5B2J%0A/websocket?vsn=%1B".to_owned(),
        ] {
            server.ask(&path, &[b"user-agent: \x9b"]).await;
            server.ask(&path, &[&header("origin")]).await;
            server
                .ask(&path, &[&header("sec-websocket-protocol")])
                .await;
            server.ask(&path, &[b"origin: http://x"]).await;
        }
        let lone = format!("{EVIL} /of/x/websocket HTTP/1.1\r\nhost: x\r\n\r\n");
        server.send(lone.trim_start().as_bytes()).await;
        server
            .send(b"!#$%&'*+-.^_`|~ /of/x/websocket HTTP/1.1\r\nhost: x\r\n\r\n")
            .await;
        for query in [evil_query, "wish=panic%0A%1B", "number=%1B%0A"] {
            let error = connect(endpoint, query).await.unwrap_err();
            tracing::info!(%error, "as a user would log it");
            endpoint.refusal("/socket", &error);
        }
        let error = ConnectError::NoSocket(EVIL.repeat(10_000));
        tracing::info!(%error, "as a user would log it");

        // In a channel: topics, events, refs, names and values of parameters.
        let mut client = connect(endpoint, "vsn=2.0.0").await.unwrap();
        let topic = format!("diary:{EVIL}");
        let params = json!({EVIL: [EVIL], "diaryKey": "hush"});
        let mut join = 0;
        for event in ["panic", "stop"] {
            join += 1;
            ask(&mut client, json!([join, EVIL, topic, "phx_join", params])).await;
            ask(&mut client, json!([join, EVIL, topic, event, EVIL])).await;
        }
        ask(
            &mut client,
            json!([7, EVIL, topic, "phx_join", {"panic": 1}]),
        )
        .await;
        ask(&mut client, json!([8, EVIL, topic, "phx_join", params])).await;
        ask(&mut client, json!([8, EVIL, topic, "fail", EVIL])).await;
        ask(&mut client, json!([8, EVIL, topic, "fail", 7])).await;
        ask(
            &mut client,
            json!([8, EVIL, topic, EVIL, {EVIL: EVIL, "Diary-Key": "hush"}]),
        )
        .await;
        // Long texts.
        let (long, word) = (format!("diary:{}", EVIL.repeat(80)), EVIL.repeat(80));
        ask(
            &mut client,
            json!([9, 1, long, "phx_join", {"a": "x".repeat(1 << 20)}]),
        )
        .await;
        ask(&mut client, json!([9, 2, long, word, EVIL.repeat(10_000)])).await;
        ask(
            &mut client,
            json!([8, 3, topic, "panic", EVIL.repeat(10_000)]),
        )
        .await;

        // Broadcasts that cannot be decoded, or not be written in version 1.
        let mut old = connect(endpoint, "vsn=1.0.0").await.unwrap();
        let join = json!({"topic": topic, "event": "phx_join", "payload": {}, "ref": EVIL});
        ask(&mut old, join).await;
        let broken = Payload::json(&json!({"n": EVIL})).unwrap();
        endpoint
            .broadcast_raw(&*topic, "typed", broken)
            .await
            .unwrap();
        let binary = Payload::binary(vec![1]);
        endpoint.broadcast_raw(&*topic, EVIL, binary).await.unwrap();
        let ping = json!({"topic": topic, "event": EVIL, "payload": EVIL, "ref": EVIL});
        ask(&mut old, ping).await;

        // Texts that cannot be parsed.
        for text in [
            EVIL.to_owned(),
            format!("[{EVIL:?}]"),
            format!("{{\"{EVIL}\""),
        ] {
            let mut client = connect(endpoint, "vsn=2.0.0").await.unwrap();
            let close = client.receive(Frame::Text(text.into())).await.unwrap_err();
            tracing::info!(reason = &*close.reason, "as a user would log it");
        }
        drop((client, old));
        server.settled(0).await;
    }

    #[test]
    fn what_a_client_chooses_is_one_line_that_no_terminal_obeys() {
        let log = logged(everywhere());
        let acts = |char: char| {
            (char.is_control() && char != '\n')
                || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        // Each entry begins with its time, so no line is a client's.
        for line in log.lines() {
            assert!(!line.contains(acts), "{line:?}");
            assert!(line.starts_with("20"), "{line:?}");
            let most = 10 << 10;
            assert!(line.len() < most, "{} bytes: {line:.200}", line.len());
        }
        assert!(
            !log.contains("hush"),
            "a parameter of the endpoint's own list"
        );
        for said in [
            "connect refused",
            "request transport",
            "a socket panicked",
            "a channel panicked",
            "a channel has failed",
            "a handler failed",
            "cannot be decoded",
            "are left out",
            "cannot be read",
            "function of the endpoint's configuration panicked",
            "from a join",
            "from a handler",
            "[FILTERED]",
        ] {
            assert!(log.contains(said), "{said:?} is not in {log}");
        }
    }

    /// Scans the sources, so that a new log line is checked even if no client reaches it.
    #[test]
    fn no_log_line_of_the_runtime_writes_a_value_with_percent_and_as_it_is() {
        fn sources(dir: &std::path::Path, all: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => sources(&path, all),
                    false => all.push(path),
                }
            }
        }
        let mut files = Vec::new();
        let src = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        sources(src.as_ref(), &mut files);
        let (mut sites, mut shown) = (0, 0);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for macro_name in [
                "trace!(",
                "debug!(",
                "info!(",
                "warn!(",
                "error!(",
                "info_span!(",
            ] {
                for (at, _) in text.match_indices(&format!("tracing::{macro_name}")) {
                    let site = text[at..].split(");\n").next().unwrap();
                    sites += 1;
                    for (at, _) in site.match_indices(" %").chain(site.match_indices("(%")) {
                        let value = site[at + 2..].trim_start_matches("crate::telemetry::");
                        assert!(value.starts_with("shown("), "{}: {site}", file.display());
                        shown += 1;
                    }
                }
            }
        }
        assert!(sites > 40 && shown > 25, "{sites} sites, {shown} values");
    }
}
