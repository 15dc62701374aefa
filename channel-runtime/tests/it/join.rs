//! Joining: patterns, captures, responses, refusals, and joining again.

mod shared;
mod state;
mod typed_topic;

use channel_runtime::{prelude::*, test::TestClient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

struct User {
    gate: std::sync::Arc<Notify>,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    deny: Option<String>,
}

#[derive(Debug)]
struct Denied(String);

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Refusal::new(denied.0)
    }
}

#[socket(channels = [Room, Exact])]
impl User {
    #[connect]
    async fn connect(credentials: Credentials, endpoint: &Endpoint) -> Result<Self, Denied> {
        let gate = std::sync::Arc::new(Notify::new());
        let opened = gate.clone();
        let mut openings = endpoint.subscribe("gate");
        tokio::spawn(async move {
            openings.recv().await;
            opened.notify_one();
        });
        credentials
            .deny
            .map_or(Ok(Self { gate }), |reason| Err(Denied(reason)))
    }
}

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("welcome")]
struct Welcome {
    topic: String,
}

struct AfterJoin;

#[derive(Deserialize)]
struct Enter {
    #[serde(default)]
    token: String,
}

struct Room;

#[channel("room:*", "hall:*", socket = User, pushes = [Welcome])]
impl Room {
    #[join("room:lobby")]
    fn lobby() -> Self {
        Room
    }

    #[join("hall:main")]
    fn hall() -> Self {
        Room
    }

    #[join("room:crash")]
    async fn crash() -> Self {
        panic!("no way in")
    }

    #[join("room:slow")]
    async fn slow(user: &User) -> Self {
        user.gate.notified().await;
        Room
    }

    #[join("room:binary")]
    fn binary() -> (Self, Binary) {
        (Room, Binary::from(vec![1, 2, 3]))
    }

    #[join("room:{floor}:{door}")]
    fn door(floor: i8, door: String) -> (Self, Value) {
        (Room, json!({"floor": floor, "door": door}))
    }

    #[join("room:{name}")]
    async fn room(
        name: String,
        enter: Enter,
        me: &ChannelRef<Self>,
    ) -> Result<(Self, Value), Refusal> {
        if enter.token == "bad" {
            return Err(Refusal::new("unauthorized"));
        }
        me.send(AfterJoin);
        Ok((Room, json!({"name": name})))
    }

    #[handle_info]
    fn welcome(&mut self, _: AfterJoin, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&Welcome {
            topic: socket.topic().to_string(),
        })
    }

    #[handle_in("ping")]
    fn ping(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }
}

struct Exact;

#[channel("exact")]
impl Exact {
    #[join]
    fn join() -> Self {
        Exact
    }
}

fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap()
}

async fn client(endpoint: &Endpoint) -> TestClient {
    TestClient::connect(endpoint, ()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connect_may_be_refused_with_the_users_own_error() {
    let refused = TestClient::connect(&endpoint(), json!({"deny": "banned"})).await;
    assert_eq!(refused.unwrap_err().reason(), Some("banned"));
}

#[tokio::test(start_paused = true)]
async fn captures_are_typed_and_the_first_fitting_pattern_wins() {
    let client = client(&endpoint()).await;
    client
        .join("room:lobby", ())
        .await
        .unwrap()
        .response::<()>();
    let door = client.join("room:-3:a:b", ()).await.unwrap();
    assert_eq!(
        door.response::<Value>(),
        json!({"floor": -3, "door": "a:b"})
    );
    let room = client.join("room:x", ()).await.unwrap();
    assert_eq!(room.response::<Value>(), json!({"name": "x"}));
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_does_not_fit_is_refused_by_name() {
    let refused = client(&endpoint())
        .await
        .join("room:first:a", ())
        .await
        .unwrap_err();
    assert_eq!(refused.expect_refusal(), "invalid topic");
    assert_eq!(refused.response::<Value>()["parameter"], "floor");
}

#[tokio::test(start_paused = true)]
async fn a_topic_no_pattern_takes_is_unmatched() {
    let client = client(&endpoint()).await;
    for topic in ["hall:1", "room", "nope", "exact:1", ""] {
        assert_eq!(
            client.join(topic, ()).await.unwrap_err().expect_refusal(),
            "unmatched topic"
        );
    }
    client.join("exact", ()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_join_is_refused_with_its_reason_or_for_its_payload() {
    let client = client(&endpoint()).await;
    let refused = client
        .join("room:x", json!({"token": "bad"}))
        .await
        .unwrap_err();
    assert_eq!(refused.expect_refusal(), "unauthorized");
    let refused = client
        .join("room:x", json!({"token": 3}))
        .await
        .unwrap_err();
    assert_eq!(refused.expect_refusal(), "invalid payload");
    assert_eq!(refused.response::<Value>()["field"], "token");
}

#[tokio::test(start_paused = true)]
async fn a_join_that_panics_is_refused_and_the_socket_goes_on() {
    let client = client(&endpoint()).await;
    let crashed = client.join("room:crash", ()).await.unwrap_err();
    assert_eq!(crashed.expect_refusal(), "join crashed");
    client.join("room:lobby", ()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_reply_comes_before_what_the_join_sends_itself() {
    let client = client(&endpoint()).await;
    let room = client.join("room:x", ()).await.unwrap();
    assert_eq!(
        room.expect_push::<Welcome>().await,
        Welcome {
            topic: "room:x".into()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_join_may_answer_binary() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let room = client.join("room:binary", ()).await.unwrap();
    let echoed = room.push_binary("ping", vec![9]).await;
    assert_eq!(echoed.payload().as_binary().unwrap().as_ref(), [9]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_join_holds_up_nothing_else_and_keeps_its_pushes() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let slow = client.join("room:slow", ());
    let other = client.join("room:lobby", ()).await.unwrap();
    other
        .push("ping", json!({"n": 1}))
        .await
        .expect_ok::<Value>();
    endpoint
        .broadcast_raw("gate", "open", Payload::empty())
        .await
        .unwrap();
    slow.await
        .unwrap()
        .push("ping", ())
        .await
        .expect_ok::<Value>();
}

#[tokio::test(start_paused = true)]
async fn joining_again_closes_the_old_channel_after_the_reply() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let first = client.join("room:lobby", ()).await.unwrap();
    let second = client.join("room:lobby", ()).await.unwrap();
    first.expect_close().await;
    assert_eq!(endpoint.subscriber_count("room:lobby"), 1);
    second.push("ping", json!(1)).await.expect_ok::<u8>();
}

#[tokio::test(start_paused = true)]
async fn joining_again_in_vain_still_ends_the_old_channel() {
    let endpoint = endpoint();
    let client = client(&endpoint).await;
    let first = client.join("room:x", ()).await.unwrap();
    client
        .join("room:x", json!({"token": "bad"}))
        .await
        .unwrap_err();
    first.expect_close().await;
    assert_eq!(endpoint.subscriber_count("room:x"), 0);
}
