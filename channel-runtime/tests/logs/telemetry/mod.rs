//! The content of the log and of the metrics, at each level, and what they never contain.

mod operator;
mod tables;

use std::io;

use channel_runtime::{LongPollOptions, SocketOptions, prelude::*, test::TestClient};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::json;

struct User;

#[socket(channels = [Room, Quiet])]
impl User {
    #[connect]
    fn connect() -> Self {
        tracing::info!("from connect");
        User
    }
}

struct Room;

#[channel("room:*", log_join = warn, log_handle_in = info)]
impl Room {
    #[join]
    fn join() -> Self {
        tracing::info!("from join");
        Room
    }

    #[handle_in("chatter")]
    fn chatter(&mut self) -> Reply {
        tracing::info!("from handle_in");
        Ok(())
    }

    #[handle_in("login")]
    fn login(&mut self) -> Reply {
        Ok(())
    }

    #[handle_in("foreign")]
    async fn foreign(&mut self, kind: String) -> Reply<(), InternalError> {
        match kind.as_str() {
            "chain" => Err(Unreadable(io::Error::other("disk 7 is gone")))?,
            "boxed" => Err(Box::<dyn std::error::Error + Send + Sync>::from(
                "boxed secret",
            ))?,
            "text" => Err("text secret".to_owned())?,
            "asked" => read().map_err(|error| Refusal::new(error.to_string()))?,
            _ => return Err(Refusal::new("unknown kind").into()),
        }
        Ok(())
    }

    #[handle_in("crash")]
    fn crash(&mut self) {
        panic!("told to");
    }
}

#[derive(Debug)]
struct Unreadable(io::Error);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the rooms cannot be read")
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn read() -> Result<(), Unreadable> {
    Err(Unreadable(io::Error::other("disk 7 is gone")))
}

struct Quiet;

#[channel("quiet:*", log_join = off, log_handle_in = off)]
impl Quiet {
    #[join]
    fn join() -> Self {
        Quiet
    }

    #[handle_in("login")]
    fn login(&mut self) -> Reply {
        Ok(())
    }
}

/// Runs a test on one thread, and returns its log lines.
fn logged(test: impl Future<Output = ()>) -> Vec<String> {
    let text = crate::log::logged(tracing::Level::DEBUG, test);
    text.lines().map(str::to_owned).collect()
}

fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap()
}

/// Returns the one line that contains all of these parts.
#[track_caller]
fn line<'a>(lines: &'a [String], parts: &[&str]) -> &'a str {
    let mut found = lines
        .iter()
        .filter(|line| parts.iter().all(|part| line.contains(part)));
    let line = found
        .next()
        .unwrap_or_else(|| panic!("no line with {parts:?} in {lines:#?}"));
    assert!(found.next().is_none(), "more than one line with {parts:?}");
    line
}

#[test]
fn connects_joins_and_messages_are_logged_at_their_levels_with_their_time() {
    let lines = logged(async {
        let endpoint = endpoint();
        let client = TestClient::connect(&endpoint, ()).await.unwrap();
        let room = client.join("room:1", json!({"name": "ada"})).await.unwrap();
        room.push("login", json!({"user": "ada"}))
            .await
            .expect_ok::<()>();
    });
    line(
        &lines,
        &[
            " INFO",
            "connect",
            "socket=\"User\"",
            "outcome=\"ok\"",
            "took=",
        ],
    );
    line(
        &lines,
        &[
            " WARN",
            "join",
            "topic=room:1",
            "outcome=\"ok\"",
            "took=",
            "ada",
        ],
    );
    let handled = [
        "INFO",
        "handle_in",
        "event=\"login\"",
        "status=\"ok\"",
        "took=",
        "ada",
    ];
    line(&lines, &handled);
}

#[test]
fn secrets_never_reach_a_line() {
    let lines = logged(async {
        let endpoint = endpoint();
        let client = TestClient::connect(&endpoint, json!({"token": "hush-1"}))
            .await
            .unwrap();
        let room = client
            .join("room:1", json!({"token": "hush-2"}))
            .await
            .unwrap();
        let payload = json!({"deep": [{"Password": "hush-3"}]});
        room.push("login", payload).await.expect_ok::<()>();
        room.push("nope", json!({"api_secret": {"is": "hush-4"}}))
            .await
            .expect_refusal();
    });
    assert!(lines.iter().any(|line| line.contains("[FILTERED]")));
    assert!(
        !lines.iter().any(|line| line.contains("hush")),
        "{lines:#?}"
    );
}

#[test]
fn what_is_off_is_not_logged() {
    let lines = logged(async {
        let client = TestClient::connect(&endpoint(), ()).await.unwrap();
        let quiet = client.join("quiet:1", ()).await.unwrap();
        quiet.push("login", ()).await.expect_ok::<()>();
    });
    assert!(
        !lines.iter().any(|line| line.contains("quiet:1")),
        "{lines:#?}"
    );
}

#[test]
fn a_panic_is_one_error_line() {
    let lines = logged(async {
        let client = TestClient::connect(&endpoint(), ()).await.unwrap();
        let room = client.join("room:1", ()).await.unwrap();
        room.cast("crash", ());
        room.expect_error().await;
    });
    line(&lines, &["ERROR", "Room", "room:1", "told to"]);
    assert_eq!(
        lines.iter().filter(|line| line.contains("ERROR")).count(),
        1
    );
}

#[test]
fn joins_messages_and_panics_are_counted_and_timed() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        logged(async {
            let client = TestClient::connect(&endpoint(), ()).await.unwrap();
            let room = client.join("room:1", ()).await.unwrap();
            room.push("login", ()).await.expect_ok::<()>();
            room.cast("crash", ());
            room.expect_error().await;
        });
    });
    let mut counted = Vec::new();
    let mut timed = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let name = key.key().name().to_owned();
        match value {
            DebugValue::Counter(count) => counted.push((name, count)),
            DebugValue::Histogram(values) => timed.push((name, values.len())),
            DebugValue::Gauge(_) => {}
        }
    }
    counted.sort();
    timed.sort();
    let expected = [
        ("channel_connects_total", 1),
        ("channel_disconnects_total", 1),
        ("channel_joins_total", 1),
        ("channel_messages_total", 1),
        ("channel_panics_total", 1),
    ];
    assert_eq!(
        counted,
        expected.map(|(name, count)| (name.to_owned(), count))
    );
    let expected = [
        ("channel_connect_seconds", 1),
        ("channel_handle_in_seconds", 1),
        ("channel_join_seconds", 1),
    ];
    assert_eq!(
        timed,
        expected.map(|(name, count)| (name.to_owned(), count))
    );
}

#[test]
fn what_a_handler_logs_stands_in_the_span_of_its_channel_and_event() {
    let lines = logged(async {
        let client = TestClient::connect(&endpoint(), ()).await.unwrap();
        let room = client.join("room:1", ()).await.unwrap();
        room.push("chatter", ()).await.expect_ok::<()>();
    });
    line(
        &lines,
        &[
            "from connect",
            "connect{socket=\"User\" transport=\"test\"}",
        ],
    );
    line(
        &lines,
        &["from join", "channel{channel=\"Room\" topic=room:1}:join"],
    );
    let spans = "channel{channel=\"Room\" topic=room:1}:handle_in{event=\"chatter\"}";
    line(&lines, &["from handle_in", spans]);
}

#[cfg(feature = "long-poll")]
#[test]
fn nodes_that_share_no_secret_are_warned_of_clients_that_poll() {
    let said = |secret: Option<[u8; 32]>| {
        let lines = logged(async {
            let spoke = crate::support::hub::Hub::default().spoke("a");
            let options = SocketOptions::default().long_poll(LongPollOptions::default());
            let builder = Endpoint::builder()
                .socket::<crate::support::polled_room::User>(options.path("/socket"))
                .pubsub(spoke);
            match secret {
                Some(secret) => builder.secret_key(secret).build().unwrap(),
                None => builder.build().unwrap(),
            };
        });
        lines.iter().filter(|line| line.contains(" WARN")).count()
    };
    assert_eq!(said(None), 1);
    assert_eq!(said(Some([5; 32])), 0);
}

#[test]
fn a_foreign_error_is_internal_for_the_client_and_one_logged_error_with_its_causes() {
    let lines = logged(async {
        let endpoint = endpoint();
        let client = TestClient::connect(&endpoint, ()).await.unwrap();
        let room = client.join("room:errors", ()).await.unwrap();
        for kind in ["chain", "boxed", "text"] {
            let refused = room.push("foreign", kind).await.expect_refusal();
            assert_eq!(refused, "internal error");
        }
    });
    let chain = "the rooms cannot be read: disk 7 is gone";
    for told in [chain, "boxed secret", "text secret"] {
        let line = line(&lines, &[told]);
        assert!(line.contains("ERROR"), "{line}");
    }
}

#[test]
fn the_text_of_an_error_reaches_a_client_where_it_is_asked_for_and_is_not_logged() {
    let lines = logged(async {
        let endpoint = endpoint();
        let client = TestClient::connect(&endpoint, ()).await.unwrap();
        let room = client.join("room:errors", ()).await.unwrap();
        let refused = room.push("foreign", "asked").await.expect_refusal();
        assert_eq!(refused, "the rooms cannot be read");
        let refused = room.push("foreign", "other").await.expect_refusal();
        assert_eq!(refused, "unknown kind");
    });
    assert!(
        !lines.iter().any(|line| line.contains("ERROR")),
        "{lines:#?}"
    );
}
