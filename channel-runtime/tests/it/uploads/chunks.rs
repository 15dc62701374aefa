//! The upload channel: joins, chunks and their answers.

use serde_json::{Value, json};

use super::page::{Page, endpoint, file};

#[tokio::test(start_paused = true)]
async fn every_byte_is_written_before_it_is_acknowledged_and_the_file_is_handed_over_when_closed() {
    let mut page = Page::open("ok").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 25)).await;
    page.heard("a.bin: init 25").await;
    for chunk in [10, 10, 5] {
        upload
            .push_binary("chunk", vec![7; chunk])
            .await
            .expect_ok::<()>();
        page.heard(&format!("a.bin: write {chunk}")).await;
    }
    page.heard("a.bin: done 25").await;
    page.heard("a.bin: meta").await;
    page.heard("a.bin: handle 25 at 100").await;
    upload.expect_close().await;
    page.state(json!({"name": "photos", "active_refs": [], "done_refs": []}))
        .await;
    page.heard("a.bin: drop").await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_one_empty_chunk() {
    let mut page = Page::open("zero").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 0)).await;
    upload.push_binary("chunk", vec![]).await.expect_ok::<()>();
    for heard in [
        "init 0",
        "write 0",
        "done 0",
        "meta",
        "handle 0 at 100",
        "drop",
    ] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_byte_too_many_ends_the_upload_and_says_the_limit() {
    let mut page = Page::open("toobig").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 25)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let reply = upload.push_binary("chunk", vec![1; 16]).await;
    assert_eq!(
        reply.response::<Value>(),
        json!({"reason": "file_size_limit_exceeded", "limit": 25})
    );
    upload.expect_close().await;
    page.state(json!({"name": "photos", "active_refs": []}))
        .await;
    for heard in ["init 25", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_chunk_after_the_end_is_refused_and_the_finished_file_stays() {
    let page = Page::open("afterdone").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "postpone.bin", 10)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.state(json!({"name": "photos", "done_refs": ["0"]}))
        .await;
    let reply = upload.push_binary("chunk", vec![]).await;
    assert_eq!(reply.expect_refusal(), "file_size_limit_exceeded");
    upload.expect_close().await;
    assert_eq!(page.owner.push("take", "0").await.expect_ok::<usize>(), 10);
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn json_for_a_chunk_and_an_unknown_event_are_answered_and_change_nothing() {
    let page = Page::open("text").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 10)).await;
    let reply = upload.push("chunk", "text").await;
    assert_eq!(reply.expect_refusal(), "invalid payload");
    assert_eq!(
        upload.push("what", ()).await.expect_refusal(),
        "unknown event"
    );
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_one_upload() {
    let page = Page::open("twice").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "postpone.bin", 10)).await;
    let upload = page.join("0", &token).await.unwrap();
    assert_eq!(
        page.join("other", &token).await.unwrap_err(),
        "already_registered"
    );
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.state(json!({"name": "photos", "done_refs": ["0"]}))
        .await;
    assert_eq!(
        page.join("other2", &token).await.unwrap_err(),
        "already_registered"
    );
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn the_topic_may_be_any_since_the_token_decides() {
    let page = Page::open("topic").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 1)).await;
    let upload = page.join("whatever", &token).await.unwrap();
    upload.push_binary("chunk", vec![1]).await.expect_ok::<()>();
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_forged_missing_or_of_another_kind_is_invalid() {
    let page = Page::open("badtoken").await;
    let other = page.endpoint.token("another kind").sign("x").unwrap();
    for payload in [
        json!({"token": "x"}),
        json!({}),
        json!({"token": null}),
        json!({"token": other}),
    ] {
        let refused = page.client.join("lvu:0", payload).await.unwrap_err();
        assert_eq!(refused.expect_refusal(), "invalid_token");
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_token_is_worth_nothing_on_another_connection() {
    let endpoint = endpoint();
    let page = Page::open_at(endpoint.clone(), "stolen").await;
    let thief = Page::open_at(endpoint, "thief").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 1)).await;
    assert_eq!(thief.join("0", &token).await.unwrap_err(), "invalid_token");
    page.join("0", &token).await.unwrap();
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_token_dies_with_its_channel() {
    let page = Page::open("dead").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 1)).await;
    page.owner.cast("crash", ());
    page.owner.expect_error().await;
    assert_eq!(page.join("0", &token).await.unwrap_err(), "disallowed");
    page.at_once();
}
