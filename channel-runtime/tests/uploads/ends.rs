//! Every way in which an upload ends: the page is told why, and the channel's code, once.

use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::{
    album::LONG,
    page::{Page, file},
    resume::join,
};

/// The name of a file whose end, and nothing else of it, its `#[handle_progress]` tells the test.
const NAME: &str = "ended.bin";

/// A file of 25 bytes, of which ten are there.
async fn begun(page: &mut Page, name: &str) -> (channel_runtime::test::TestChannel, String) {
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", name, 25)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    (upload, photos)
}

/// The page is shown this error, of a file that is listed or not, and the code hears of it once,
/// whatever time passes.
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
    let mut page = Page::open("end_toobig").await;
    let (upload, _) = begun(&mut page, NAME).await;
    let _refused = upload.push_binary("chunk", vec![1; 16]).await;
    let reason = json!({"reason": "file_size_limit_exceeded", "limit": 25});
    ends(&mut page, reason, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_chunk_is_told() {
    let mut page = Page::open("end_late").await;
    let (upload, _) = begun(&mut page, NAME).await;
    upload.expect_close().await;
    ends(&mut page, json!("chunk_timeout"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_chunk_that_does_not_come_is_told() {
    let mut page = Page::open("end_first").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", NAME, 25)).await;
    upload.expect_close().await;
    ends(&mut page, json!("chunk_timeout"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_leave_is_told() {
    let mut page = Page::open("end_leave").await;
    let (upload, _) = begun(&mut page, NAME).await;
    upload.leave().await;
    ends(&mut page, json!("left"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_join_of_its_topic_is_told() {
    let mut page = Page::open("end_rejoin").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", NAME, 25)).await;
    let _first = page.join("0", &token).await.unwrap();
    page.join("0", &token).await.unwrap_err();
    ends(&mut page, json!("rejoined"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_client_did_not_come_back_for_is_told_when_its_time_has_passed() {
    let mut page = Page::open("end_detached").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", NAME, 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
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
    let mut page = Page::open("end_given_up").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", NAME, 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload.leave().await;
    let payload = json!({"ref": photos, "token": token});
    page.owner
        .push("upload_cancel", payload)
        .await
        .expect_ok::<()>();
    ends(&mut page, json!("cancelled"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_page_cancels_is_told() {
    let mut page = Page::open("end_cancel").await;
    let (_upload, photos) = begun(&mut page, NAME).await;
    let payload = json!({"ref": photos, "entry_ref": "0"});
    page.owner
        .push("upload_cancel", payload)
        .await
        .expect_ok::<()>();
    ends(&mut page, json!("cancelled"), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_code_cancels_is_told() {
    let mut page = Page::open("end_code").await;
    let (_upload, _) = begun(&mut page, NAME).await;
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
    let mut page = Page::open("end_refused").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "ended_refuse.bin", 5)).await;
    upload
        .push_binary("chunk", vec![1; 5])
        .await
        .expect_ok::<()>();
    ends(&mut page, json!("not nice"), true).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_never_allowed_has_no_end() {
    let mut page = Page::open("end_never").await;
    let photos = page.upload("photos").await;
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
