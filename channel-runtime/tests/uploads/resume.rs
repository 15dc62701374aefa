//! Uploads that go on after a broken connection.

use channel_runtime::test::TestChannel;
use serde_json::{Value, json};
use tokio::time::{self, Duration};

use crate::page::{Page, file};

/// Joins as a client that can resume.
async fn join(page: &Page, token: &str) -> (TestChannel, u64) {
    let payload = json!({"token": token, "resume": true});
    let upload = page.client.join("lvu:0", payload).await.unwrap();
    let offset = upload.response::<Value>()["offset"].as_u64().unwrap();
    (upload, offset)
}

/// The file again, with the token it was broken off with.
fn again(name: &str, size: u64, token: &str) -> Value {
    let mut entry = file("0", name, size);
    entry["resume"] = token.into();
    entry
}

#[tokio::test]
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
    upload
        .push_binary("chunk", vec![1; 15])
        .await
        .expect_ok::<()>();
    for heard in [
        "init 25",
        "write 10",
        "write 15",
        "done 25",
        "meta",
        "handle 25 at 100",
    ] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
}

#[tokio::test]
async fn a_file_whose_last_answer_was_lost_is_found_finished() {
    let mut page = Page::open("resume_done").await;
    let avatar = page.upload("avatar").await;
    let token = page.token(&avatar, file("0", "me.bin", 10)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.reconnect().await;
    let avatar = page.upload("avatar").await;
    let token = page.token(&avatar, again("me.bin", 10, &token)).await;
    let (_, offset) = join(&page, &token).await;
    assert_eq!(offset, 10);
    let saved: Vec<String> = page.owner.push("save", ["me.bin"]).await.expect_ok();
    assert_eq!(saved, ["me.bin"]);
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
    assert_eq!(page.rest(), ["a.bin: init 25", "a.bin: write 10"]);
    page.heard("a.bin: cancel 10").await;
    page.heard("a.bin: drop").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    let (_, offset) = join(&page, &token).await;
    assert_eq!(offset, 0, "it begins anew");
}

#[tokio::test]
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
}
