//! The answers to a client's message.

use std::time::Duration;

use channel_runtime::{prelude::*, test::TestClient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("step")]
struct Progress(u8);

#[derive(Event, Debug, PartialEq, Clone)]
#[event("frame", binary)]
struct Image(Bytes);

#[derive(Deserialize)]
struct Order {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    price: u32,
}

struct Room {
    held: Option<SocketRef>,
}

#[channel("room:*", pushes = [Progress, Image])]
impl Room {
    #[join]
    fn join() -> Self {
        Room { held: None }
    }

    #[handle_in("silent")]
    fn silent(&mut self) {}

    #[handle_in("ok")]
    fn ok(&mut self) -> Reply {
        Ok(())
    }

    #[handle_in("fail")]
    fn fail(&mut self) -> Reply<u8> {
        Err(Refusal::new("nope").with("code", 7))
    }

    #[handle_in("teapot")]
    fn teapot(&mut self) -> Status<Value> {
        Status("teapot", json!({"a": 1}))
    }

    #[handle_in("order")]
    async fn order(&mut self, order: Order) -> Reply<u32> {
        Ok(order.items.iter().map(|item| item.price).sum())
    }

    #[handle_in("bytes")]
    fn bytes(&mut self, bytes: Binary) -> Result<Binary, Refusal> {
        if bytes.0.is_empty() {
            Err(Refusal::binary(vec![0xff]))
        } else {
            Ok(bytes)
        }
    }

    #[handle_in("steps")]
    async fn steps(&mut self, socket: &Socket<Self>) -> Reply<&'static str> {
        for step in 1..=3 {
            socket.push(&Progress(step))?;
        }
        socket.push(&Image(Bytes::from_static(b"\x00\x01")))?;
        Ok("done")
    }

    #[handle_in("either")]
    fn either(&mut self, what: String) -> Answer {
        match what.as_str() {
            "ok" => Answer::ok(1),
            "no" => Answer::refuse(Refusal::empty()),
            "stop" => Answer::ok(Stop::normal().ok("bye")),
            _ => Answer::none(),
        }
    }

    #[handle_in("later")]
    fn later(&mut self, to: SocketRef) {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            to.ok(json!({"late": true}));
        });
    }

    #[handle_in("lost")]
    fn lost(&mut self, to: SocketRef) {
        drop(to);
    }

    #[handle_in("ignored")]
    fn ignored(&mut self, to: SocketRef) {
        to.ignore();
    }

    #[handle_in("hold")]
    fn hold(&mut self, to: SocketRef) {
        self.held = Some(to);
    }

    #[handle_in("release")]
    fn release(&mut self) -> Reply {
        let held = self
            .held
            .take()
            .ok_or_else(|| Refusal::new("nothing is held"))?;
        held.error(Refusal::new("released"));
        Ok(())
    }

    #[handle_in("nan")]
    fn not_json(&mut self) -> Reply<std::collections::HashMap<(u8, u8), u8>> {
        Ok([((1, 2), 3)].into())
    }

    #[handle_in]
    fn other(&mut self, event: &str, payload: Payload) -> Reply<Value> {
        Ok(json!({"event": event, "bytes": payload.len()}))
    }
}

async fn room() -> (TestClient, channel_runtime::test::TestChannel) {
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    let room = client.join("room:1", ()).await.unwrap();
    (client, room)
}

#[tokio::test(start_paused = true)]
async fn a_result_becomes_ok_or_error_and_a_status_its_own_word() {
    let (_client, room) = room().await;
    room.push("ok", ()).await.expect_ok::<()>();
    let failed = room.push("fail", ()).await;
    assert_eq!(failed.expect_refusal(), "nope");
    assert_eq!(
        failed.response::<Value>(),
        json!({"reason": "nope", "code": 7})
    );
    let teapot = room.push("teapot", ()).await;
    assert_eq!(
        (teapot.status(), teapot.response()),
        ("teapot", json!({"a": 1}))
    );
}

#[tokio::test(start_paused = true)]
async fn unit_is_silence() {
    let (client, room) = room().await;
    room.cast("silent", ());
    room.push("ok", ()).await.expect_ok::<()>();
    room.cast("silent", ());
    let ping =
        channel_runtime::protocol::Frame::Text(r#"[null,"9","phoenix","heartbeat",{}]"#.into());
    client.send_raw(ping);
    assert_eq!(client.next().await.topic, "phoenix");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_does_not_decode_is_refused_with_its_field() {
    let (_client, room) = room().await;
    let bad = room
        .push("order", json!({"items": [{"price": 1}, {"price": "two"}]}))
        .await;
    assert_eq!(bad.expect_refusal(), "invalid payload");
    assert_eq!(bad.response::<Value>()["field"], "items[1].price");
    let missing = room.push("order", json!({"items": [{}]})).await;
    assert_eq!(missing.response::<Value>()["field"], "items[0].price");
    assert_eq!(
        room.push("order", json!({"items": [{"price": 3}]}))
            .await
            .expect_ok::<u32>(),
        3
    );
    assert_eq!(
        room.push("bytes", json!({})).await.expect_refusal(),
        "invalid payload"
    );
    assert_eq!(
        room.push_binary("order", vec![1]).await.expect_refusal(),
        "invalid payload"
    );
}

#[tokio::test(start_paused = true)]
async fn binary_goes_both_ways() {
    let (_client, room) = room().await;
    let ok = room.push_binary("bytes", vec![1, 2]).await;
    assert_eq!(
        (ok.status(), ok.payload().as_binary().unwrap().as_ref()),
        ("ok", &[1, 2][..])
    );
    let bad = room.push_binary("bytes", vec![]).await;
    assert_eq!(
        (bad.status(), bad.payload().as_binary().unwrap().as_ref()),
        ("error", &[0xff][..])
    );
}

#[tokio::test(start_paused = true)]
async fn pushes_come_before_the_reply_of_their_handler() {
    let (client, room) = room().await;
    let reply = room.push("steps", ()).await;
    assert_eq!(reply.expect_ok::<String>(), "done");
    for step in 1..=3 {
        assert_eq!(
            client.next().await.payload.as_json(),
            Some(step.to_string().as_str())
        );
    }
    assert_eq!(
        room.expect_push::<Image>().await,
        Image(Bytes::from_static(b"\x00\x01"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_decided_while_the_handler_runs() {
    let (_client, room) = room().await;
    assert_eq!(room.push("either", "ok").await.expect_ok::<u8>(), 1);
    let refused = room.push("either", "no").await;
    assert_eq!((refused.status(), refused.response()), ("error", json!({})));
    assert_eq!(
        room.push("either", "stop").await.expect_ok::<String>(),
        "bye"
    );
    room.expect_close().await;
}

#[tokio::test(start_paused = true)]
async fn a_deferred_reply_comes_from_any_task_or_message() {
    let (_client, room) = room().await;
    assert_eq!(
        room.push("later", ()).await.expect_ok::<Value>(),
        json!({"late": true})
    );
    let held = room.push("hold", ());
    room.push("release", ()).await.expect_ok::<()>();
    assert_eq!(held.await.expect_refusal(), "released");
    assert_eq!(
        room.push("release", ()).await.expect_refusal(),
        "nothing is held"
    );
}

#[tokio::test(start_paused = true)]
async fn a_socket_ref_dropped_without_an_answer_tells_the_client() {
    let (_client, room) = room().await;
    assert_eq!(room.push("lost", ()).await.expect_refusal(), "no answer");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "expected a reply")]
async fn a_socket_ref_that_is_ignored_on_purpose_says_nothing() {
    let (_client, room) = room().await;
    room.push("ignored", ()).await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_cannot_be_json_is_a_server_error_not_a_crash() {
    let (_client, room) = room().await;
    assert_eq!(room.push("nan", ()).await.expect_refusal(), "server error");
    room.push("ok", ()).await.expect_ok::<()>();
}

#[tokio::test(start_paused = true)]
async fn a_nameless_handler_takes_every_event_but_the_protocols_own() {
    let (_client, room) = room().await;
    let other = room.push("anything", json!([1, 2])).await;
    assert_eq!(
        other.expect_ok::<Value>(),
        json!({"event": "anything", "bytes": 5})
    );
    assert_eq!(
        room.push("phx_close", ()).await.expect_refusal(),
        "unknown event"
    );
}

#[test]
fn methods_stay_ordinary_methods() {
    let mut room = Room { held: None };
    assert!(room.ok().is_ok());
    assert_eq!(room.fail().unwrap_err().reason(), Some("nope"));
}
