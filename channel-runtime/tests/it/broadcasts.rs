//! Broadcasts: their receivers, intercepts, and further topics.

use channel_runtime::{prelude::*, test::TestClient};
use serde::{Deserialize, Serialize};
use serde_json::json;

struct User {
    name: String,
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
}

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(credentials: Credentials) -> Self {
        User {
            name: credentials.name,
        }
    }

    #[id]
    fn id(&self) -> String {
        format!("users:{}", self.name)
    }
}

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("said")]
struct Said {
    body: String,
}

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("secret")]
struct Secret {
    body: String,
    #[serde(default)]
    seen_by: String,
}

struct Room;

#[channel("room:*", socket = User, intercept = ["secret"], pushes = [Said, Secret])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("all")]
    async fn all(&mut self, msg: Said, socket: &Socket<Self>) -> Reply {
        socket.broadcast(&msg).await?;
        Ok(())
    }

    #[handle_in("others")]
    async fn others(&mut self, msg: Said, socket: &Socket<Self>) -> Reply {
        socket.broadcast_from(&msg).await?;
        Ok(())
    }

    #[handle_in("local")]
    fn local(&mut self, msg: Said, socket: &Socket<Self>) -> Reply {
        Ok(socket.local_broadcast(&msg)?)
    }

    #[handle_in("local_others")]
    fn local_others(&mut self, msg: Said, socket: &Socket<Self>) -> Reply {
        Ok(socket.local_broadcast_from(&msg)?)
    }

    #[handle_in("elsewhere")]
    async fn elsewhere(&mut self, topic: String, socket: &Socket<Self>) -> Reply {
        let (me, event) = (
            socket.channel_ref().id(),
            Said {
                body: "from afar".into(),
            },
        );
        socket.endpoint().broadcast_from(me, topic, &event).await?;
        Ok(())
    }

    #[handle_in("whisper")]
    async fn whisper(&mut self, msg: Secret, socket: &Socket<Self>) -> Reply {
        socket.broadcast(&msg).await?;
        Ok(())
    }

    #[handle_out("secret")]
    fn reveal(&mut self, msg: Secret, user: &User, socket: &Socket<Self>) -> Result<(), Error> {
        if user.name == "spy" {
            return Ok(());
        }
        socket.push(&Secret {
            seen_by: user.name.clone(),
            ..msg
        })
    }

    #[handle_in("watch")]
    fn watch(&mut self, topic: String, socket: &Socket<Self>) -> Reply {
        socket.subscribe(topic);
        Ok(())
    }

    #[handle_in("unwatch")]
    fn unwatch(&mut self, topic: String, socket: &Socket<Self>) -> Reply {
        socket.unsubscribe(&topic);
        Ok(())
    }

    #[handle_info]
    fn relay(&mut self, broadcast: Broadcast, socket: &Socket<Self>) -> Result<(), Error> {
        socket.forward(&broadcast)
    }
}

fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap()
}

async fn client(endpoint: &Endpoint, name: &str) -> TestClient {
    TestClient::connect(endpoint, json!({"name": name}))
        .await
        .unwrap()
}

fn said(body: &str) -> Said {
    Said { body: body.into() }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_all_of_its_topic_and_no_other() {
    let endpoint = endpoint();
    let (a, b) = (client(&endpoint, "a").await, client(&endpoint, "b").await);
    let (a1, b1) = (
        a.join("room:1", ()).await.unwrap(),
        b.join("room:1", ()).await.unwrap(),
    );
    let b2 = b.join("room:2", ()).await.unwrap();
    for event in ["all", "local"] {
        a1.push(event, said(event)).await.expect_ok::<()>();
        assert_eq!(a1.expect_broadcast::<Said>().await, said(event));
        assert_eq!(b1.expect_broadcast::<Said>().await, said(event));
    }
    b2.refute_broadcast::<Said>().await;
}

#[tokio::test(start_paused = true)]
async fn broadcast_from_leaves_out_the_sending_channel_only() {
    let endpoint = endpoint();
    let (a, b) = (client(&endpoint, "a").await, client(&endpoint, "b").await);
    let (a1, b1) = (
        a.join("room:1", ()).await.unwrap(),
        b.join("room:1", ()).await.unwrap(),
    );
    for event in ["others", "local_others"] {
        a1.push(event, said(event)).await.expect_ok::<()>();
        assert_eq!(b1.expect_broadcast::<Said>().await, said(event));
    }
    a1.refute_broadcast::<Said>().await;
    let a2 = a.join("room:2", ()).await.unwrap();
    a1.push("elsewhere", "room:2").await.expect_ok::<()>();
    assert_eq!(a2.expect_broadcast::<Said>().await, said("from afar"));
}

#[tokio::test(start_paused = true)]
async fn an_intercepted_event_comes_as_each_clients_own_push_or_not_at_all() {
    let endpoint = endpoint();
    let (a, spy) = (client(&endpoint, "a").await, client(&endpoint, "spy").await);
    let a1 = a.join("room:1", ()).await.unwrap();
    let spy1 = spy.join("room:1", ()).await.unwrap();
    a1.push("whisper", json!({"body": "x"}))
        .await
        .expect_ok::<()>();
    let secret = Secret {
        body: "x".into(),
        seen_by: "a".into(),
    };
    assert_eq!(a1.expect_push::<Secret>().await, secret);
    spy1.refute_push::<Secret>().await;
    spy1.refute_broadcast::<Secret>().await;
}

#[tokio::test(start_paused = true)]
async fn an_intercepted_event_that_does_not_decode_is_left_out_and_nothing_more() {
    let endpoint = endpoint();
    let a = client(&endpoint, "a").await;
    let a1 = a.join("room:1", ()).await.unwrap();
    let bad = Payload::from_json_text("[]").unwrap();
    endpoint
        .broadcast_raw("room:1", "secret", bad)
        .await
        .unwrap();
    a1.push("whisper", json!({"body": "x"}))
        .await
        .expect_ok::<()>();
    assert_eq!(a1.expect_push::<Secret>().await.body, "x");
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_broadcasts_from_anywhere_and_hears_from_anywhere() {
    let endpoint = endpoint();
    let a = client(&endpoint, "a").await;
    let a1 = a.join("room:1", ()).await.unwrap();
    let mut outside = endpoint.subscribe("room:1");
    endpoint.broadcast("room:1", &said("typed")).await.unwrap();
    assert_eq!(a1.expect_broadcast::<Said>().await, said("typed"));
    let heard = outside.recv().await;
    assert_eq!((heard.topic().as_str(), heard.event()), ("room:1", "said"));
    drop(outside);
    assert_eq!(endpoint.subscriber_count("room:1"), 1);
    endpoint.local_broadcast("room:1", &said("local")).unwrap();
    endpoint
        .broadcast_raw("room:1", "raw", Payload::binary(vec![1, 2]))
        .await
        .unwrap();
    assert_eq!(a1.expect_broadcast::<Said>().await, said("local"));
    assert_eq!(a.next().await.payload, Payload::binary(vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_outside_that_does_not_keep_up_misses_and_knows_it() {
    let endpoint = endpoint();
    let mut outside = endpoint.subscribe("room:1");
    for _ in 0..1030 {
        endpoint.local_broadcast("room:1", &said("x")).unwrap();
    }
    assert_eq!(outside.missed(), 6);
    assert_eq!(outside.recv().await.event(), "said");
}

#[tokio::test(start_paused = true)]
async fn a_further_topic_is_subscribed_once_and_relayed() {
    let endpoint = endpoint();
    let a = client(&endpoint, "a").await;
    let a1 = a.join("room:1", ()).await.unwrap();
    for _ in 0..2 {
        a1.push("watch", "prices").await.expect_ok::<()>();
    }
    assert_eq!(endpoint.subscriber_count("prices"), 1);
    endpoint.broadcast("prices", &said("10")).await.unwrap();
    assert_eq!(a1.expect_push::<Said>().await, said("10"));
    a1.refute_push::<Said>().await;
    a1.push("unwatch", "prices").await.expect_ok::<()>();
    assert_eq!(endpoint.subscriber_count("prices"), 0);
    endpoint.broadcast("prices", &said("11")).await.unwrap();
    a1.refute_push::<Said>().await;
}

#[tokio::test(start_paused = true)]
async fn subscribing_to_the_own_topic_changes_nothing() {
    let endpoint = endpoint();
    let a = client(&endpoint, "a").await;
    let a1 = a.join("room:1", ()).await.unwrap();
    a1.push("watch", "room:1").await.expect_ok::<()>();
    endpoint.broadcast("room:1", &said("x")).await.unwrap();
    assert_eq!(a1.expect_broadcast::<Said>().await, said("x"));
    a1.refute_push::<Said>().await;
}

#[tokio::test(start_paused = true)]
async fn disconnecting_an_id_ends_its_connections_only() {
    let endpoint = endpoint();
    let (a, a2) = (client(&endpoint, "a").await, client(&endpoint, "a").await);
    let b = client(&endpoint, "b").await;
    let a_room = a.join("room:1", ()).await.unwrap();
    let b_room = b.join("room:1", ()).await.unwrap();
    endpoint
        .broadcast_raw("users:a", "hello", Payload::empty())
        .await
        .unwrap();
    a_room
        .push("all", said("still here"))
        .await
        .expect_ok::<()>();
    endpoint.disconnect("users:a").await.unwrap();
    assert_eq!(a.expect_close().await.code, 1001);
    assert_eq!(a2.expect_close().await.code, 1001);
    b_room.push("all", said("x")).await.expect_ok::<()>();
    assert_eq!(endpoint.connection_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_what_a_channel_takes_first_disconnects_no_quick_client() {
    let endpoint = endpoint();
    let a = client(&endpoint, "a").await;
    let room = a.join("room:1", ()).await.unwrap();
    room.push("watch", "news").await.expect_ok::<()>();
    let secret = |n: usize| Secret {
        body: n.to_string(),
        seen_by: String::new(),
    };
    // Nothing waits in between, so the channel handles none before all are sent.
    for n in 0..2000 {
        endpoint.broadcast("room:1", &secret(n)).await.unwrap();
    }
    for n in 0..2000 {
        assert_eq!(room.expect_push::<Secret>().await.body, n.to_string());
    }
    for n in 0..2000 {
        let said = said(&n.to_string());
        endpoint.broadcast("news", &said).await.unwrap();
    }
    for n in 0..2000 {
        assert_eq!(room.expect_push::<Said>().await, said(&n.to_string()));
    }
}
