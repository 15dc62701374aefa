use super::*;

fn options(json: &str) -> Result<SocketOptions, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn every_key_sets_its_option() {
    let options = options(
        r#"{
            "path": "/socket/{tenant}", "timeout_ms": 1500, "max_frame_size_bytes": 1,
            "max_message_size_bytes": 2, "max_channels": 3, "mailbox_messages": 4,
            "mailbox_bytes": 5, "mailbox_wait_ms": 8, "outbox_frames": 6, "outbox_bytes": 7,
            "slow_consumer": "drop_oldest", "serializers": {"~> 2.0": "v2"},
            "websocket": false, "transport_log": "warn", "check_origin": "conn",
            "subprotocols": ["a", "b"], "auth_token": true,
            "connect_info": ["peer_addr", "uri", "user_agent", "trace_context", "x_headers",
                             "sec_websocket_headers"]
        }"#,
    )
    .unwrap();
    assert_eq!(options.path, "/socket/{tenant}");
    assert_eq!(options.timeout, Duration::from_millis(1500));
    assert_eq!((options.max_frame_size, options.max_message_size), (1, 2));
    assert_eq!(
        (
            options.max_channels,
            options.mailbox_messages,
            options.mailbox_bytes
        ),
        (3, 4, 5)
    );
    assert_eq!(options.mailbox_wait, Duration::from_millis(8));
    assert_eq!((options.outbox_frames, options.outbox_bytes), (6, 7));
    assert_eq!(options.slow_consumer, SlowConsumer::DropOldest);
    assert!(options.serializers.negotiate("2.7.0").is_some());
    assert!(options.serializers.negotiate("1.0.0").is_none());
    assert!(!options.websocket && options.auth_token);
    assert_eq!(options.transport_log, LogLevel::At(Level::WARN));
    assert_eq!(format!("{:?}", options.check_origin), "connection");
    assert_eq!(options.subprotocols, ["a", "b", "phoenix"]);
    assert_eq!(options.connect_info.len(), 6);
}

#[test]
fn what_is_not_given_stays_as_it_is_in_code() {
    let (read, default) = (options("{}").unwrap(), SocketOptions::default());
    assert_eq!(format!("{read:?}"), format!("{default:?}"));
}

#[test]
fn origins_are_checked_as_in_phoenix() {
    for (json, expected) in [
        ("true", "host"),
        ("false", "off"),
        (r#""conn""#, "connection"),
        (
            r#"["https://example.com", "//*.example.org:8080"]"#,
            "[https://example.com:443, //*.example.org:8080]",
        ),
        ("[]", "[]"),
    ] {
        let options = options(&format!(r#"{{"check_origin": {json}}}"#)).unwrap();
        assert_eq!(format!("{:?}", options.check_origin), expected);
    }
}

#[test]
fn what_cannot_work_is_named_by_its_key() {
    for (json, words) in [
        (
            r#"{"timeout": 5}"#,
            vec!["unknown field `timeout`", "`timeout_ms`"],
        ),
        (
            r#"{"timeout_ms": 0}"#,
            vec!["`timeout_ms` must be more than zero"],
        ),
        (
            r#"{"timeout_ms": 99999999999}"#,
            vec!["`timeout_ms` must be less than a year"],
        ),
        (r#"{"timeout_ms": "5s"}"#, vec!["5s", "u64"]),
        (
            r#"{"max_frame_size_bytes": 0}"#,
            vec!["`max_frame_size_bytes`"],
        ),
        (
            r#"{"max_message_size_bytes": 0}"#,
            vec!["`max_message_size_bytes`"],
        ),
        (r#"{"max_channels": 0}"#, vec!["`max_channels`"]),
        (r#"{"mailbox_messages": -1}"#, vec!["-1"]),
        (
            r#"{"check_origin": "example.com"}"#,
            vec!["example.com", "a list of origins"],
        ),
        (r#"{"check_origin": 1}"#, vec!["a list of origins"]),
        (r#"{"check_origin": [1]}"#, vec!["string"]),
        (
            r#"{"check_origin": ["example.com"]}"#,
            vec!["`check_origin`", "\"example.com\""],
        ),
        (
            r#"{"subprotocols": ["a b"]}"#,
            vec!["`subprotocols`", "\"a b\""],
        ),
        (
            r#"{"serializers": {"2.0": "v2"}}"#,
            vec!["`serializers`", "\"2.0\""],
        ),
        (r#"{"serializers": {"~> 2.0": "v3"}}"#, vec!["v3", "`v2`"]),
        (
            r#"{"slow_consumer": "wait"}"#,
            vec!["wait", "`drop_newest`"],
        ),
        (r#"{"transport_log": "loud"}"#, vec!["loud", "`debug`"]),
        (r#"{"connect_info": ["peer"]}"#, vec!["peer", "`peer_addr`"]),
    ] {
        let error = options(json).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{json} gives {error}, without {word}");
        }
    }
    let error =
        serde_json::from_str::<crate::server::EndpointConfig>(r#"{"host": "x"}"#).unwrap_err();
    assert!(
        error.to_string().contains("unknown field `host`"),
        "{error}"
    );
}

#[cfg(feature = "long-poll")]
#[test]
fn sessions_and_long_poll_are_configured_in_keys_of_their_own() {
    let options = options(
        r#"{
            "session": {"cookie": "_app", "max_age_s": 60},
            "long_poll": {"window_ms": 5000, "check_origin": ["https://example.com"]}
        }"#,
    )
    .unwrap();
    let sessions = CookieSession::new("_app").unwrap();
    let sessions = sessions.max_age(Duration::from_secs(60));
    assert_eq!(options.session, Some(sessions));
    let long_poll = format!("{:?}", options.long_poll.unwrap());
    assert!(
        long_poll.contains("5000") && long_poll.contains("https://example.com"),
        "{long_poll}"
    );
}
