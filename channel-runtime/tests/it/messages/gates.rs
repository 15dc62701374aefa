//! Gates, limits and proofs, which keep a client's message from its handler.

use std::time::Duration;

use channel_runtime::{
    prelude::*,
    test::{TestChannel, TestClient},
};
use serde::Deserialize;
use serde_json::{Value, json};

struct User {
    name: String,
}

#[socket(channels = [Room, Other, Plain])]
impl User {
    #[connect]
    fn connect(params: Params) -> Self {
        let name = params.get("name").unwrap_or_default();
        User { name }
    }

    #[id]
    fn id(&self) -> Option<String> {
        (!self.name.is_empty()).then(|| format!("users:{}", self.name))
    }
}

/// Proves that the user is `ada`, in a room that is open.
#[derive(Debug)]
struct Admin {
    name: String,
}

impl Proof<Room> for Admin {
    fn prove(room: &Room, socket: &Socket<Room>) -> Result<Self, Refusal> {
        let name = &socket.user().name;
        match name == "ada" && !room.closed {
            true => Ok(Admin { name: name.clone() }),
            false => Err(Refusal::new("admins only")),
        }
    }
}

#[derive(Deserialize)]
struct Ban {
    who: String,
}

#[derive(Default)]
struct Room {
    closed: bool,
    asked: Vec<String>,
}

#[channel(
    "room:*",
    socket = User,
    proofs = [Admin],
    rate_limit(per_second = 10, burst = 20),
)]
impl Room {
    #[before_join]
    async fn may_join(topic: &Topic, user: &User) -> Result<(), Refusal> {
        tokio::task::yield_now().await;
        match topic.as_str() == "room:vip" && user.name != "ada" {
            true => Err(Refusal::new("not invited")),
            false => Ok(()),
        }
    }

    #[before_join]
    fn never_nobody(topic: &Topic) -> Result<(), Refusal> {
        match topic.as_str() == "room:nobody" {
            true => Err(Refusal::new("nobody")),
            false => Ok(()),
        }
    }

    #[join("room:{_name}")]
    fn join(_name: String, _needs: Vec<u8>) -> Self {
        Room::default()
    }

    #[before_handle_in]
    async fn note(&mut self, event: &str, socket: &Socket<Self>) {
        tokio::task::yield_now().await;
        self.asked.push(format!("{event} on {}", socket.topic()));
    }

    #[before_handle_in]
    fn is_open(&self, event: &str) -> Result<(), Refusal> {
        match self.closed && event != "reopen" {
            true => Err(Refusal::new("closed")),
            false => Ok(()),
        }
    }

    #[handle_in("close")]
    fn close(&mut self) -> Reply {
        self.closed = true;
        Ok(())
    }

    #[handle_in("reopen")]
    fn reopen(&mut self) -> Reply<Vec<String>> {
        self.closed = false;
        Ok(std::mem::take(&mut self.asked))
    }

    #[handle_in("ban")]
    async fn ban(&mut self, ban: Ban, admin: &Admin, topic: &Topic) -> Reply<String> {
        tokio::task::yield_now().await;
        Ok(format!("{} bans {} from {topic}", admin.name, ban.who))
    }

    #[handle_in("say", rate_limit(per_minute = 2))]
    fn say(&mut self) -> Reply {
        Ok(())
    }

    #[handle_in("invite", rate_limit(per_hour = 2, by = user))]
    fn invite(&mut self) -> Reply {
        Ok(())
    }
}

struct Other;

#[channel("other:*", rate_limit(per_second = 1))]
impl Other {
    #[join]
    fn join() -> Self {
        Other
    }

    #[handle_in]
    fn any(&mut self) -> Reply {
        Ok(())
    }
}

struct Plain;

#[channel("plain:*")]
impl Plain {
    #[join]
    fn join() -> Self {
        Plain
    }

    #[handle_in]
    fn any(&mut self) -> Reply {
        Ok(())
    }
}

fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap()
}

async fn connect(endpoint: &Endpoint, name: &str) -> TestClient {
    TestClient::connect(endpoint, [("name", name)])
        .await
        .unwrap()
}

async fn room(name: &str, topic: &str) -> (TestClient, TestChannel) {
    let client = connect(&endpoint(), name).await;
    let room = client.join(topic, Vec::<u8>::new()).await.unwrap();
    (client, room)
}

fn wait_of(reply: &channel_runtime::test::TestReply) -> u64 {
    assert_eq!(reply.expect_refusal(), "rate limited");
    reply.response::<Value>()["retry_after_ms"]
        .as_u64()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_gate_refuses_a_join_before_its_payload_is_read() {
    let endpoint = endpoint();
    let bob = connect(&endpoint, "bob").await;
    for (topic, reason) in [("room:vip", "not invited"), ("room:nobody", "nobody")] {
        let refused = bob.join(topic, "no list").await.unwrap_err();
        assert_eq!(refused.expect_refusal(), reason);
    }
    let unfit = bob.join("room:1", "no list").await.unwrap_err();
    assert_eq!(unfit.expect_refusal(), "invalid payload");
    let ada = connect(&endpoint, "ada").await;
    ada.join("room:vip", Vec::<u8>::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_gate_sees_every_message_and_refuses_in_the_channels_state() {
    let (_client, room) = room("bob", "room:1").await;
    room.push("close", ()).await.expect_ok::<()>();
    for event in ["ban", "say", "unknown"] {
        assert_eq!(room.push(event, ()).await.expect_refusal(), "closed");
    }
    let asked = room.push("reopen", ()).await.expect_ok::<Vec<String>>();
    let events = ["close", "ban", "say", "unknown", "reopen"];
    let all: Vec<_> = events.map(|event| format!("{event} on room:1")).into();
    assert_eq!(asked, all);
    let unknown = room.push("unknown", ()).await;
    assert_eq!(unknown.expect_refusal(), "unknown event");
}

#[tokio::test(start_paused = true)]
async fn a_proof_keeps_others_out_before_their_payload_is_read() {
    let (_client, bobs) = room("bob", "room:1").await;
    for payload in [json!({"who": "eve"}), json!("no ban")] {
        let refused = bobs.push("ban", payload).await;
        assert_eq!(refused.expect_refusal(), "admins only");
    }
    let (_client, adas) = room("ada", "room:2").await;
    let banned = adas.push("ban", json!({"who": "eve"})).await;
    let said = banned.expect_ok::<String>();
    assert_eq!(said, "ada bans eve from room:2");
    let unfit = adas.push("ban", json!("no ban")).await;
    assert_eq!(unfit.expect_refusal(), "invalid payload");
}

#[tokio::test(start_paused = true)]
async fn an_events_limit_refuses_with_the_time_to_wait_and_spares_other_events() {
    let (_client, room) = room("bob", "room:1").await;
    for _ in 0..2 {
        room.push("say", ()).await.expect_ok::<()>();
    }
    let wait = wait_of(&room.push("say", ()).await);
    assert!((29_000..=30_000).contains(&wait), "{wait}");
    room.push("invite", ()).await.expect_ok::<()>();
    tokio::time::advance(Duration::from_millis(wait)).await;
    room.push("say", ()).await.expect_ok::<()>();
    wait_of(&room.push("say", ()).await);
}

#[tokio::test(start_paused = true)]
async fn a_channels_limit_counts_all_events_over_all_topics_of_a_client() {
    let endpoint = endpoint();
    let (bob, eve) = (
        connect(&endpoint, "bob").await,
        connect(&endpoint, "eve").await,
    );
    let (one, two) = (
        bob.join("other:1", ()).await.unwrap(),
        bob.join("other:2", ()).await.unwrap(),
    );
    one.push("a", ()).await.expect_ok::<()>();
    wait_of(&two.push("b", ()).await);
    // Another client, and another channel, count separately.
    let eves = eve.join("other:1", ()).await.unwrap();
    eves.push("a", ()).await.expect_ok::<()>();
    let plain = bob.join("plain:1", ()).await.unwrap();
    for _ in 0..50 {
        plain.push("a", ()).await.expect_ok::<()>();
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_by_user_counts_all_connections_of_one_id() {
    let endpoint = endpoint();
    let mut invited = Vec::new();
    for name in ["bob", "bob", "bob", "eve", "", ""] {
        let client = connect(&endpoint, name).await;
        let room = client.join("room:1", Vec::<u8>::new()).await.unwrap();
        let reply = room.push("invite", ()).await;
        invited.push((name, reply.status().to_owned()));
    }
    let all: Vec<_> = invited
        .iter()
        .map(|(name, status)| (*name, status.as_str()))
        .collect();
    // Without an id, each connection counts for itself.
    let expected = [
        ("bob", "ok"),
        ("bob", "ok"),
        ("bob", "error"),
        ("eve", "ok"),
        ("", "ok"),
        ("", "ok"),
    ];
    assert_eq!(all, expected);
}

#[tokio::test(start_paused = true)]
async fn a_burst_may_come_at_once_and_no_more() {
    let (_client, room) = room("bob", "room:1").await;
    for _ in 0..20 {
        room.push("close", ()).await;
    }
    let wait = wait_of(&room.push("reopen", ()).await);
    assert!((1..=100).contains(&wait), "{wait}");
    tokio::time::advance(Duration::from_millis(wait)).await;
    room.push("reopen", ()).await.expect_ok::<Vec<String>>();
}
