use channel_runtime::test::{TestChannel, TestClient};
use serde_json::json;

use super::*;

// A handler is a method: one that needs no socket can be called directly.

fn ada() -> RoomChannel {
    RoomChannel {
        name: "Ada".to_owned(),
        muted: HashSet::new(),
    }
}

fn mute(name: &str, muted: bool) -> Mute {
    Mute {
        name: name.to_owned(),
        muted,
    }
}

#[test]
fn muting_is_undone_by_unmuting() {
    let mut ada = ada();
    assert_eq!(ada.mute(mute("Bob", true)), Ok(()));
    assert!(ada.muted.contains("Bob"));
    assert_eq!(ada.mute(mute("Bob", false)), Ok(()));
    assert!(ada.muted.is_empty());
}

#[test]
fn nobody_mutes_themselves() {
    let mut ada = ada();
    assert!(ada.mute(mute("Ada", true)).is_err());
    assert!(ada.muted.is_empty());
}

#[test]
fn a_message_is_trimmed() {
    assert_eq!(sayable(" hello \n"), Ok("hello".to_owned()));
}

#[test]
fn the_limit_counts_characters_not_bytes() {
    assert!(sayable(&"é".repeat(LONGEST)).is_ok());
    assert!(sayable(&"e".repeat(LONGEST + 1)).is_err());
}

// The rest goes through a client in memory.

fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<UserSocket>("/socket")
        .build()
        .unwrap()
}

async fn enter(endpoint: &Endpoint, name: &str) -> (TestClient, TestChannel) {
    let client = TestClient::connect(endpoint, [("name", name)])
        .await
        .unwrap();
    let channel = client.join("room:lobby", json!({})).await.unwrap();
    (client, channel)
}

#[tokio::test]
async fn everyone_sees_a_message_and_its_author_sees_it_as_theirs() {
    let endpoint = endpoint();
    let (_ada, ada) = enter(&endpoint, "Ada").await;
    let (_bob, bob) = enter(&endpoint, "Bob").await;
    ada.push("new_msg", json!({"body": "hi"}))
        .await
        .expect_ok::<()>();
    assert!(ada.expect_push::<NewMsg>().await.mine);
    let heard = bob.expect_push::<NewMsg>().await;
    assert_eq!((heard.from.as_str(), heard.mine), ("Ada", false));
}

#[tokio::test]
async fn an_empty_message_is_refused_in_words() {
    let (_client, ada) = enter(&endpoint(), "Ada").await;
    let reply = ada.push("new_msg", json!({"body": " \n\t"})).await;
    assert_eq!(reply.expect_refusal(), "there is nothing in this message");
}

#[tokio::test]
async fn a_muted_person_is_not_heard_and_others_are() {
    let endpoint = endpoint();
    let (_ada, ada) = enter(&endpoint, "Ada").await;
    let (_bob, bob) = enter(&endpoint, "Bob").await;
    let (_eve, eve) = enter(&endpoint, "Eve").await;
    let mute = json!({"name": "Eve", "muted": true});
    ada.push("mute", mute).await.expect_ok::<()>();
    for (who, body) in [(&eve, "psst"), (&bob, "hello")] {
        who.push("new_msg", json!({"body": body}))
            .await
            .expect_ok::<()>();
    }
    assert_eq!(ada.expect_push::<NewMsg>().await.body, "hello");
    assert_eq!(bob.expect_push::<NewMsg>().await.body, "psst");
}

#[tokio::test]
async fn coming_and_going_is_told_with_the_number_of_people() {
    let endpoint = endpoint();
    let (_ada, ada) = enter(&endpoint, "Ada").await;
    let (_bob, bob) = enter(&endpoint, "Bob").await;
    ada.expect_event("arrived", json!({"name": "Bob", "people": 2}))
        .await;
    bob.leave().await;
    ada.expect_event("gone", json!({"name": "Bob", "people": 1}))
        .await;
}

#[tokio::test]
async fn a_room_that_cannot_be_is_refused() {
    let endpoint = endpoint();
    let (client, _lobby) = enter(&endpoint, "Ada").await;
    let refused = client.join("room:No Way", json!({})).await.unwrap_err();
    assert_eq!(refused.expect_refusal(), "invalid topic");
}
