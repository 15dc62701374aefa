//! Files that a client sends elsewhere.

use serde_json::{Value, json};

use super::page::Page;

fn video(entry_ref: &str, name: &str) -> Value {
    json!({"ref": entry_ref, "name": name, "size": 5, "type": "video/mp4"})
}

async fn progress(page: &Page, upload: &str, entry_ref: &str, progress: Value) {
    let payload = json!({"ref": upload, "entry_ref": entry_ref, "progress": progress});
    page.owner.push("progress", payload).await.expect_ok::<()>();
}

#[tokio::test(start_paused = true)]
async fn a_file_sent_elsewhere_is_done_when_the_client_says_so_and_it_was_verified() {
    let mut page = Page::open("external_ok").await;
    let videos = page.upload("videos").await;
    let reply: Value = page
        .allow(&videos, json!([video("0", "a.mp4")]))
        .await
        .expect_ok();
    assert_eq!(
        reply["entries"],
        json!({"0": {"uploader": "S3", "url": "https://example.com/a.mp4"}})
    );
    progress(&page, &videos, "0", json!(40)).await;
    let state = page
        .state(json!({"name": "videos", "active_refs": ["0"]}))
        .await;
    assert_eq!(
        state["entries"][0]["progress"], 0,
        "the state at the answer: {state}"
    );
    let state = page
        .state(json!({"name": "videos", "active_refs": ["0"]}))
        .await;
    assert_eq!(state["entries"][0]["progress"], 40);
    progress(&page, &videos, "0", json!(100)).await;
    page.heard("video https://example.com/a.mp4").await;
    page.state(json!({"name": "videos", "active_refs": []}))
        .await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_where_the_client_says_is_an_error_of_its_entry() {
    let mut page = Page::open("external_lost").await;
    let videos = page.upload("videos").await;
    page.allow(&videos, json!([video("0", "lost.mp4")]))
        .await
        .expect_ok::<Value>();
    progress(&page, &videos, "0", json!(100)).await;
    let state = page
        .state(json!({"name": "videos", "error_refs": ["0"]}))
        .await;
    assert_eq!(
        state["errors"],
        json!([["0", {"reason": "not there", "size": 5}]])
    );
    progress(&page, &videos, "0", json!(100)).await;
    assert!(page.rest().await.is_empty());
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_elsewhere_says_so() {
    let page = Page::open("external_client_err").await;
    let videos = page.upload("videos").await;
    page.allow(&videos, json!([video("0", "a.mp4")]))
        .await
        .expect_ok::<Value>();
    progress(&page, &videos, "0", json!({"error": "failed"})).await;
    let state = page
        .state(json!({"name": "videos", "error_refs": ["0"]}))
        .await;
    let reason = json!({"reason": "external_client_failure", "cause": "failed"});
    assert_eq!(state["errors"], json!([["0", reason]]));
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_cannot_be_had_is_the_answer_with_all_it_says() {
    let page = Page::open("external_meta_err").await;
    let videos = page.upload("videos").await;
    let reply: Value = page
        .allow(&videos, json!([video("0", "nowhere.mp4")]))
        .await
        .expect_ok();
    let reason = json!({"reason": "nowhere to put it", "name": "nowhere.mp4"});
    assert_eq!(reply, json!({"ref": videos, "error": [["0", reason]]}));
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_verify_that_panics_is_an_error_of_its_entry() {
    let page = Page::open("external_panic").await;
    let videos = page.upload("videos").await;
    page.allow(&videos, json!([video("0", "verify_panic.mp4")]))
        .await
        .expect_ok::<Value>();
    progress(&page, &videos, "0", json!(100)).await;
    let state = page
        .state(json!({"name": "videos", "error_refs": ["0"]}))
        .await;
    assert_eq!(state["errors"], json!([["0", "verify crashed"]]));
    page.at_once();
}
