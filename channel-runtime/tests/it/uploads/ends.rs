//! Every way in which an upload ends: the page is told why, and the channel's code, once.

use channel_runtime::test::TestChannel;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::{
    album::LONG,
    page::{Page, file},
    resume::join,
};

/// The name of a file of which `#[handle_progress]` reports only the end to the test.
const NAME: &str = "ended.bin";

/// Opens a page, and returns the ref of its photos.
async fn opened(test: &str) -> (Page, String) {
    let page = Page::open(test).await;
    let photos = page.upload("photos").await;
    (page, photos)
}

async fn write(upload: &TestChannel) {
    let written = upload.push_binary("chunk", vec![1; 10]).await;
    written.expect_ok::<()>();
}

/// Opens a page and begins a file of 25 bytes, of which ten are sent.
async fn begun(test: &str) -> (Page, String, TestChannel) {
    let (page, photos) = opened(test).await;
    let upload = page.begin(&photos, file("0", NAME, 25)).await;
    write(&upload).await;
    (page, photos, upload)
}

/// Does the same for a client that can resume, and returns the file's token.
async fn resumable(page: &Page, photos: &str) -> (TestChannel, String) {
    let token = page.token(photos, file("0", NAME, 25)).await;
    let (upload, _) = join(page, &token).await;
    write(&upload).await;
    (upload, token)
}

async fn cancel(page: &Page, payload: Value) {
    let cancelled = page.owner.push("upload_cancel", payload).await;
    cancelled.expect_ok::<()>();
}

/// Checks that the page is shown this error, of a listed file or another, and that the code gets it
/// once, however much time passes.
async fn ends(page: &mut Page, reason: Value, is_listed: bool) {
    let state = page
        .state(json!({"name": "photos", "errors": [["0", reason]]}))
        .await;
    assert_eq!(state["active_refs"] == json!(["0"]), is_listed, "{state}");
    assert_eq!(state["error_refs"], json!(["0"]));
    sleep(LONG).await;
    let heard = page.rest().await;
    let told: Vec<_> = heard
        .iter()
        .filter(|line| line.starts_with("ended "))
        .collect();
    assert_eq!(told, [&format!("ended {reason}")], "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_byte_too_many_is_told() {
    let (mut page, _, upload) = begun("end_toobig").await;
    let _refused = upload.push_binary("chunk", vec![1; 16]).await;
    let reason = json!({"reason": "file_size_limit_exceeded", "limit": 25});
    ends(&mut page, reason, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_chunk_is_told() {
    let (mut page, _, upload) = begun("end_late").await;
    upload.expect_close().await;
    ends(&mut page, json!("chunk_timeout"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_chunk_that_does_not_come_is_told() {
    let (mut page, photos) = opened("end_first").await;
    let upload = page.begin(&photos, file("0", NAME, 25)).await;
    upload.expect_close().await;
    ends(&mut page, json!("chunk_timeout"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_leave_is_told() {
    let (mut page, _, upload) = begun("end_leave").await;
    upload.leave().await;
    ends(&mut page, json!("left"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_join_of_its_topic_is_told() {
    let (mut page, photos) = opened("end_rejoin").await;
    let token = page.token(&photos, file("0", NAME, 25)).await;
    let _first = page.join("0", &token).await.unwrap();
    page.join("0", &token).await.unwrap_err();
    ends(&mut page, json!("rejoined"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_client_did_not_come_back_for_is_told_when_its_time_has_passed() {
    let (mut page, photos) = opened("end_detached").await;
    let (upload, _) = resumable(&page, &photos).await;
    upload.leave().await;
    let state = page
        .state(json!({"name": "photos", "active_refs": [], "preflighted_refs": []}))
        .await;
    assert_eq!(state["errors"], json!([]));
    sleep(Duration::from_millis(3_900)).await;
    let heard = page.rest().await;
    assert!(
        heard.iter().all(|line| !line.starts_with("ended ")),
        "{heard:?}"
    );
    ends(&mut page, json!("detach_timeout"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_file_that_its_page_gives_up_is_told() {
    let (mut page, photos) = opened("end_given_up").await;
    let (upload, token) = resumable(&page, &photos).await;
    upload.leave().await;
    cancel(&page, json!({"ref": photos, "token": token})).await;
    ends(&mut page, json!("cancelled"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_page_cancels_is_told() {
    let (mut page, photos, _upload) = begun("end_cancel").await;
    cancel(&page, json!({"ref": photos, "entry_ref": "0"})).await;
    ends(&mut page, json!("cancelled"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_code_cancels_is_told() {
    let (mut page, _, _upload) = begun("end_code").await;
    page.owner.push("cancel", "0").await.expect_ok::<bool>();
    ends(&mut page, json!("cancelled"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_fails_is_told_wherever_it_fails() {
    for at in ["init", "write", "close"] {
        let name = format!("ended_{at}_error.bin");
        let mut page = Page::open(&format!("end_{at}")).await;
        let photos = page.upload("photos").await;
        let token = page.token(&photos, file("0", &name, 20)).await;
        if let Ok(upload) = page.join("0", &token).await {
            for _ in 0..2 {
                let _answer = upload.push_binary("chunk", vec![1; 10]).await;
            }
        }
        let reason = json!({"reason": "writer_failure", "cause": "as_asked"});
        ends(&mut page, reason, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_handler_refuses_is_told() {
    let (mut page, photos) = opened("end_refused").await;
    let upload = page.begin(&photos, file("0", "ended_refuse.bin", 5)).await;
    upload
        .push_binary("chunk", vec![1; 5])
        .await
        .expect_ok::<()>();
    ends(&mut page, json!("not nice"), true).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_one_more_than_are_kept_is_told() {
    let (mut page, photos) = opened("end_not_kept").await;
    for kept in ["a", "b", "c"] {
        let token = page.token(&photos, file(kept, "a.bin", 25)).await;
        join(&page, &token).await.0.leave().await;
    }
    let (upload, _) = resumable(&page, &photos).await;
    upload.leave().await;
    ends(&mut page, json!("not_kept"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_channel_does_not_end_in_its_time_is_told() {
    let (mut page, photos) = opened("end_crashed").await;
    let token = page.token(&photos, file("0", "ended_slow.bin", 25)).await;
    let upload = page.join("0", &token).await.unwrap();
    let _never = upload.push_binary("chunk", vec![1; 10]);
    page.heard("ended_slow.bin: init 25").await;
    page.heard("ended_slow.bin: write 10").await;
    let _replaces_it = page.client.join("lvu:0", json!({"token": token}));
    sleep(Duration::from_secs(31)).await;
    ends(&mut page, json!("crashed"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_where_its_client_says_is_told() {
    for (name, reason) in [
        ("ended_lost.mp4", "not there"),
        ("ended_verify_panic.mp4", "verify crashed"),
    ] {
        let mut page = Page::open(&format!("end_{name}")).await;
        let films = page.upload("film").await;
        let film = json!({"ref": "0", "name": name, "size": 5, "type": "video/mp4"});
        page.allow(&films, json!([film])).await.expect_ok::<Value>();
        let progress = json!({"ref": films, "entry_ref": "0", "progress": 100});
        let said = page.owner.push("progress", progress).await;
        said.expect_ok::<()>();
        let state = page
            .state(json!({"name": "film", "errors": [["0", reason]]}))
            .await;
        assert_eq!(state["active_refs"], json!(["0"]), "it stays");
        assert_eq!(page.rest().await, [format!("ended {:?}", reason)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_never_allowed_has_no_end() {
    let (mut page, photos) = opened("end_never").await;
    let payload = json!({"ref": photos, "entries": [file("0", NAME, 25)]});
    page.owner
        .push("upload_validate", payload)
        .await
        .expect_ok::<()>();
    page.owner.push("cancel", "0").await.expect_ok::<bool>();
    let state = page
        .state(json!({"name": "photos", "active_refs": []}))
        .await;
    assert_eq!(state["errors"], json!([]));
    assert!(page.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_place_is_taken_is_told_and_so_is_why_a_client_could_not_send_it_elsewhere() {
    for (entries, end, reason) in [
        (
            json!({"ref": "1", "name": "new.mp4", "size": 5, "type": "video/mp4"}),
            None,
            json!("replaced"),
        ),
        (
            Value::Null,
            Some(json!({"error": "why"})),
            json!({"reason": "external_client_failure", "cause": "why"}),
        ),
        (
            Value::Null,
            Some(json!({"error": "x".repeat(5_000)})),
            json!("external_client_failure"),
        ),
    ] {
        let mut page = Page::open(&format!("end_{reason}")).await;
        let films = page.upload("film").await;
        let film = json!({"ref": "0", "name": "ended.mp4", "size": 5, "type": "video/mp4"});
        page.allow(&films, json!([film])).await.expect_ok::<Value>();
        match end {
            Some(progress) => {
                let payload = json!({"ref": films, "entry_ref": "0", "progress": progress});
                for _ in 0..2 {
                    let again = page.owner.push("progress", &payload);
                    again.await.expect_ok::<()>();
                }
            }
            None => drop(page.allow(&films, json!([entries])).await),
        }
        page.state(json!({"name": "film", "errors": [["0", reason]]}))
            .await;
        assert_eq!(page.rest().await, [format!("ended {reason}")]);
    }
}
