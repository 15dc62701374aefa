//! An operator's view: gauges, ends of connections, and reasons in the log.

use std::collections::BTreeMap;

use channel_runtime::test::TestClient;
use channel_runtime::{LongPollOptions, SocketOptions, prelude::*, protocol::Frame};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{line, logged};

struct User;

#[derive(Deserialize)]
struct Login {
    age: u8,
}

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(login: Login) -> Result<Self, Refusal> {
        match login.age {
            0..18 => Err(Refusal::new("too\nyoung")),
            _ => Ok(User),
        }
    }

    #[id]
    fn id(&self) -> &'static str {
        "users:one"
    }
}

#[derive(Deserialize)]
enum Colour {
    Red,
}

struct Room;

#[channel("room:*", log_handle_in = info)]
impl Room {
    #[join("room:{number}")]
    fn join(number: u32) -> Result<Self, Refusal> {
        match number {
            0 => Err(Refusal::new("full")),
            _ => Ok(Room),
        }
    }

    #[handle_in("paint")]
    fn paint(&mut self, colour: Colour) -> Reply {
        let Colour::Red = colour;
        Err(Refusal::new("no paint"))
    }

    #[handle_in("crash")]
    fn crash(&mut self) {
        panic!("told to");
    }
}

fn endpoint() -> Endpoint {
    let options = SocketOptions::default().long_poll(LongPollOptions::default());
    Endpoint::builder()
        .socket::<User>(options.path("/socket"))
        .build()
        .unwrap()
}

async fn adult(endpoint: &Endpoint) -> TestClient {
    TestClient::connect(endpoint, [("age", 30)]).await.unwrap()
}

/// Returns the changes since the last call, by name and the last label's value: a snapshot resets
/// the counters.
fn values(snapshotter: &Snapshotter) -> BTreeMap<(String, String), f64> {
    let all = snapshotter.snapshot().into_vec().into_iter();
    let each = all.filter_map(|(key, _, _, value)| {
        let label = key.key().labels().last().map_or("", |label| label.value());
        let name = (key.key().name().to_owned(), label.to_owned());
        match value {
            DebugValue::Counter(count) => Some((name, count as f64)),
            DebugValue::Gauge(value) => Some((name, value.into_inner())),
            DebugValue::Histogram(_) => None,
        }
    });
    each.collect()
}

fn value(values: &BTreeMap<(String, String), f64>, name: &str, label: &str) -> f64 {
    let key = (name.to_owned(), label.to_owned());
    values.get(&key).copied().unwrap_or_default()
}

/// Waits until a connection has gone.
async fn gone(endpoint: &Endpoint, open: usize) {
    while endpoint.connection_count() > open {
        tokio::task::yield_now().await;
    }
}

#[test]
fn gauges_follow_connections_channels_and_topics() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        logged(async {
            let endpoint = endpoint();
            let (one, two) = (adult(&endpoint).await, adult(&endpoint).await);
            let room = one.join("room:1", ()).await.unwrap();
            let _same = two.join("room:1", ()).await.unwrap();
            let other = two.join("room:2", ()).await.unwrap();
            let _refused = two.join("room:0", ()).await.unwrap_err();
            let now = values(&snapshotter);
            assert_eq!(value(&now, "channel_connections", ""), 2.0);
            assert_eq!(value(&now, "channel_channels", "Room"), 3.0);
            // The sockets' id is a topic as well.
            assert_eq!(value(&now, "channel_topics", ""), 3.0);
            room.leave().await;
            other.cast("crash", ());
            other.expect_error().await;
            drop(one);
            gone(&endpoint, 1).await;
            let now = values(&snapshotter);
            assert_eq!(value(&now, "channel_connections", ""), -1.0);
            assert_eq!(value(&now, "channel_channels", "Room"), -2.0);
            assert_eq!(value(&now, "channel_topics", ""), -1.0);
            drop(two);
            gone(&endpoint, 0).await;
        });
    });
    let after = values(&snapshotter);
    for (name, label, left) in [
        ("channel_connections", "", -1.0),
        ("channel_channels", "Room", -1.0),
        ("channel_topics", "", -2.0),
    ] {
        assert_eq!(value(&after, name, label), left, "{name}");
    }
}

#[test]
fn ends_of_connections_are_counted_by_their_reason() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        logged(async {
            let endpoint = endpoint();
            drop(adult(&endpoint).await);
            gone(&endpoint, 0).await;
            let unreadable = adult(&endpoint).await;
            unreadable.send_raw(Frame::Text("[".into()));
            gone(&endpoint, 0).await;
            let told = adult(&endpoint).await;
            endpoint.disconnect("users:one").await.unwrap();
            gone(&endpoint, 0).await;
            let drained = adult(&endpoint).await;
            endpoint.drain().await;
            gone(&endpoint, 0).await;
            drop((unreadable, told, drained));
        });
    });
    let after = values(&snapshotter);
    for reason in ["client", "unreadable", "disconnect", "draining"] {
        let ended = value(&after, "channel_disconnects_total", reason);
        assert_eq!(ended, 1.0, "{reason}: {after:?}");
    }
}

#[test]
fn refusals_are_logged_with_their_reason_in_one_line() {
    let lines = logged(async {
        let endpoint = endpoint();
        let young = TestClient::connect(&endpoint, [("age", 3)]).await;
        young.unwrap_err();
        let client = adult(&endpoint).await;
        client.join("room:0", ()).await.unwrap_err();
        let room = client.join("room:1", ()).await.unwrap();
        room.push("paint", "Red").await.expect_refusal();
    });
    let connect = [
        "connect",
        "outcome=\"refused\"",
        r"reason=refused: too\nyoung",
    ];
    line(&lines, &connect);
    line(&lines, &["join", "outcome=\"error\"", "reason=\"full\""]);
    line(
        &lines,
        &["handle_in", "status=\"error\"", "reason=\"no paint\""],
    );
}

#[test]
fn a_client_is_told_the_field_and_none_of_serdes_words() {
    let lines = logged(async {
        let endpoint = endpoint();
        let old = TestClient::connect(&endpoint, [("age", "very")]).await;
        let told = old.unwrap_err().payload();
        let expected = json!({"reason": "invalid params", "parameter": "age"});
        assert_eq!(told.decode::<Value>().unwrap(), expected);
        let client = adult(&endpoint).await;
        let room = client.join("room:one", ()).await.unwrap_err();
        let expected = json!({"reason": "invalid topic", "parameter": "number"});
        assert_eq!(room.response::<Value>(), expected);
        let room = client.join("room:1", ()).await.unwrap();
        let told = room.push("paint", json!({"Blue": 1})).await;
        let told = told.payload().as_json().unwrap().to_owned();
        for word in ["Blue", "Red", "variant", "column", "expected"] {
            assert!(!told.contains(word), "{told}");
        }
    });
    // The log has them.
    line(
        &lines,
        &["DEBUG", "a payload does not fit", "unknown variant"],
    );
    line(&lines, &["DEBUG", "connect parameters do not fit"]);
}
