//! Uploads that are resumed after a broken connection.

use channel_runtime::test::TestChannel;
use serde_json::{Value, json};
use tokio::time::{self, Duration};

use super::page::{Page, file};

/// Joins as a client that can resume.
pub(crate) async fn join(page: &Page, token: &str) -> (TestChannel, u64) {
    let payload = json!({"token": token, "resume": true});
    let upload = page.client.join("lvu:0", payload).await.unwrap();
    let offset = upload.response::<Value>()["offset"].as_u64().unwrap();
    (upload, offset)
}

/// Returns the file again, with the token of its broken upload.
pub(crate) fn again(name: &str, size: u64, token: &str) -> Value {
    let mut entry = file("0", name, size);
    entry["resume"] = token.into();
    entry
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_where_its_writer_was() {
    let mut page = Page::open("resume").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 25)).await;
    let (upload, offset) = join(&page, &token).await;
    assert_eq!(offset, 0);
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.reconnect().await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    let (upload, offset) = join(&page, &token).await;
    assert_eq!(offset, 10);
    for bytes in [10, 5] {
        upload
            .push_binary("chunk", vec![1; bytes])
            .await
            .expect_ok::<()>();
    }
    for heard in [
        "init 25",
        "write 10",
        "write 10",
        "write 5",
        "done 25",
        "meta",
        "handle 25 at 100",
    ] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_nobody_comes_back_for_is_cancelled_after_its_time() {
    let mut page = Page::open("resume_late").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.reconnect().await;
    time::sleep(Duration::from_millis(3_900)).await;
    assert_eq!(page.rest().await, ["a.bin: init 25", "a.bin: write 10"]);
    page.heard("a.bin: cancel 10").await;
    page.heard("a.bin: drop").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    let (_, offset) = join(&page, &token).await;
    assert_eq!(offset, 0, "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn another_file_or_another_topic_does_not_get_the_bytes() {
    let mut page = Page::open("resume_other").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.reconnect().await;
    let photos = page.upload("photos").await;
    let other = page.token(&photos, again("b.bin", 25, &token)).await;
    assert_eq!(join(&page, &other).await.1, 0);
    let elsewhere = Page::open_at(page.endpoint.clone(), "resume_elsewhere").await;
    let photos = elsewhere.upload("photos").await;
    let other = elsewhere.token(&photos, again("a.bin", 25, &token)).await;
    assert_eq!(join(&elsewhere, &other).await.1, 0);
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_taken_over_from_a_connection_that_does_not_know_it_is_dead() {
    let mut page = Page::open("resume_over").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let again_page = Page::open_at(page.endpoint.clone(), "resume_over").await;
    let photos = again_page.upload("photos").await;
    let token = again_page.token(&photos, again("a.bin", 25, &token)).await;
    let (again, offset) = join(&again_page, &token).await;
    assert_eq!(offset, 10);
    upload.expect_close().await;
    for bytes in [10, 5] {
        again
            .push_binary("chunk", vec![1; bytes])
            .await
            .expect_ok::<()>();
    }
    for heard in ["init 25", "write 10", "write 10", "write 5", "done 25"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_write_that_still_goes_on_counts_for_the_client_that_comes_back() {
    let mut page = Page::open("resume_slow").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "slow.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    let _lost = upload.push_binary("chunk", vec![1; 10]);
    page.heard("slow.bin: init 25").await;
    page.heard("slow.bin: write 10").await;
    page.reconnect().await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("slow.bin", 25, &token)).await;
    let release = async {
        // The channel is not held up meanwhile.
        page.owner
            .push("save", [""; 0])
            .await
            .expect_ok::<Vec<String>>();
        page.release();
    };
    let ((_upload, offset), ()) = tokio::join!(join(&page, &token), release);
    assert_eq!(offset, 10);
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_can_resume_pauses_by_leaving() {
    let mut page = Page::open("resume_pause").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    upload.leave().await;
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    assert_eq!(join(&page, &token).await.1, 10);
    page.heard("a.bin: init 25").await;
    page.heard("a.bin: write 10").await;
    assert!(page.rest().await.is_empty());
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_has_stalled_waits_for_a_client_that_can_resume() {
    let mut page = Page::open("resume_stall").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    time::sleep(Duration::from_millis(900)).await;
    // Not cancelled: that is a close alone.
    upload.expect_event("stalled", json!({})).await;
    upload.expect_close().await;
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    let (upload, offset) = join(&page, &token).await;
    assert_eq!(offset, 10);
    time::sleep(Duration::from_millis(4_900)).await;
    upload.expect_close().await;
    for heard in ["init 25", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_goes_on_is_not_taken_from_another_file_or_topic() {
    let page = Page::open("resume_taken").await;
    let photos = page.upload("photos").await;
    let first = page.token(&photos, file("7", "a.bin", 25)).await;
    let (upload, _) = join(&page, &first).await;
    let mut other = again("b.bin", 25, &first);
    other["ref"] = "8".into();
    page.token(&photos, other).await;
    let elsewhere = Page::open_at(page.endpoint.clone(), "resume_taken_elsewhere").await;
    let photos = elsewhere.upload("photos").await;
    elsewhere.token(&photos, again("a.bin", 25, &first)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_was_cancelled_is_not_kept() {
    let mut page = Page::open("resume_cancel").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let cancel = json!({"ref": photos, "entry_ref": "7"});
    page.owner
        .push("upload_cancel", cancel)
        .await
        .expect_ok::<()>();
    upload.expect_close().await;
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    assert_eq!(join(&page, &token).await.1, 0);
    for heard in ["init 25", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_that_was_broken_off_is_not_done() {
    let mut page = Page::open("resume_empty").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 0)).await;
    join(&page, &token).await;
    page.heard("a.bin: init 0").await;
    page.reconnect().await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("a.bin", 0, &token)).await;
    let payload = json!({"token": token, "resume": true});
    let upload = page.client.join("lvu:0", payload).await.unwrap();
    assert_eq!(
        upload.response::<Value>(),
        json!({"offset": 0, "done": false, "window": 2})
    );
    upload.push_binary("chunk", vec![]).await.expect_ok::<()>();
    for heard in ["write 0", "done 0", "meta", "handle 0 at 100"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_that_nobody_comes_back_for_is_cancelled() {
    let mut page = Page::open("resume_empty_late").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 0)).await;
    join(&page, &token).await;
    page.reconnect().await;
    for heard in ["init 0", "cancel 0", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_upload_goes_on_loses_nothing() {
    let mut page = Page::open("resume_twice").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let mut token = token;
    for _ in 0..2 {
        page.reconnect().await;
        let photos = page.upload("photos").await;
        token = page.token(&photos, again("a.bin", 25, &token)).await;
    }
    assert_eq!(join(&page, &token).await.1, 10);
    page.reconnect().await;
    let photos = page.upload("photos").await;
    page.token(&photos, again("a.bin", 25, &token)).await;
    page.reconnect().await;
    for heard in ["init 25", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_what_is_in_flight_and_what_waits_for_its_client() {
    let mut page = Page::open("resume_drain").await;
    let photos = page.upload("photos").await;
    let mut tokens = Vec::new();
    for name in ["adopted.bin", "waits.bin"] {
        let token = page.token(&photos, file(name, name, 25)).await;
        let (upload, _) = join(&page, &token).await;
        upload
            .push_binary("chunk", vec![1; 10])
            .await
            .expect_ok::<()>();
        upload.leave().await;
        tokens.push(token);
    }
    page.reconnect().await;
    let photos = page.upload("photos").await;
    page.token(&photos, again("adopted.bin", 25, &tokens[0]))
        .await;
    let upload = page.begin(&photos, file("1", "flight.bin", 25)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.endpoint.drain().await;
    let mut heard = page.by_now();
    heard.retain(|heard| heard.contains("cancel") || heard.contains("drop"));
    heard.sort();
    let mut expected = Vec::new();
    for name in ["adopted.bin", "flight.bin", "waits.bin"] {
        expected.extend([format!("{name}: cancel 10"), format!("{name}: drop")]);
    }
    assert_eq!(heard, expected);
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_page_has_no_more_files_waiting_than_its_upload_allows() {
    let mut page = Page::open("resume_many").await;
    let photos = page.upload("photos").await;
    for name in ["a.bin", "b.bin", "c.bin", "d.bin"] {
        let token = page.token(&photos, file(name, name, 25)).await;
        join(&page, &token).await.0.leave().await;
    }
    page.heard("a.bin: init 25").await;
    page.heard("b.bin: init 25").await;
    page.heard("c.bin: init 25").await;
    for heard in ["init 25", "cancel 0", "drop"] {
        page.heard(&format!("d.bin: {heard}")).await;
    }
    page.at_once();
}
