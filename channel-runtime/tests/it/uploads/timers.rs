//! Uploads that stop before their end, in paused time.

use serde_json::json;
use tokio::{
    runtime::Handle,
    task,
    time::{self, Duration},
};

use super::{
    album::LONG,
    page::{Page, file},
    resume::{again, join},
};

#[tokio::test(start_paused = true)]
async fn an_upload_without_a_next_chunk_is_given_up() {
    let mut page = Page::open("stall").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 30)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    time::sleep(Duration::from_millis(900)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    time::sleep(Duration::from_millis(900)).await;
    assert_eq!(
        page.rest().await,
        ["a.bin: init 30", "a.bin: write 10", "a.bin: write 10"]
    );
    upload.expect_close().await;
    page.heard("a.bin: cancel 20").await;
    page.state(json!({"name": "photos", "active_refs": []}))
        .await;
}

#[tokio::test(start_paused = true)]
async fn empty_chunks_do_not_keep_an_upload_open() {
    let mut page = Page::open("empties").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 30)).await;
    for bytes in [10, 0] {
        upload
            .push_binary("chunk", vec![1; bytes])
            .await
            .expect_ok::<()>();
        time::sleep(Duration::from_millis(600)).await;
    }
    let heard = ["init 30", "write 10", "write 0", "cancel 10", "drop"];
    assert_eq!(
        page.rest().await,
        heard.map(|heard| format!("a.bin: {heard}"))
    );
    upload.expect_close().await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_without_a_first_chunk_is_given_up_after_its_own_time() {
    let mut page = Page::open("nochunk").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 30)).await;
    time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(page.rest().await, ["a.bin: init 30"]);
    upload.expect_close().await;
    page.heard("a.bin: cancel 0").await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_outlives_the_timeout_is_acknowledged_and_then_the_upload_ends() {
    let mut page = Page::open("slow_writer").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "slow.bin", 20)).await;
    let slow = upload.push_binary("chunk", vec![1; 10]);
    time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(
        page.rest().await,
        ["slow.bin: init 20", "slow.bin: write 10"]
    );
    page.release();
    slow.await.expect_ok::<()>();
    upload.expect_close().await;
    page.heard("slow.bin: cancel 10").await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_file_waits_for_its_handler_without_a_deadline() {
    let page = Page::open("waits").await;
    let avatar = page.upload("avatar").await;
    let upload = page.begin(&avatar, file("0", "me.bin", 10)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    time::sleep(LONG).await;
    let saved: Vec<String> = page.owner.push("save", ["me.bin"]).await.expect_ok();
    assert_eq!(saved, ["me.bin"]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_a_client_whose_next_chunk_waits_for_a_write() {
    let mut page = Page::open("deadline_ahead").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "long.bin", 100)).await;
    for _ in 0..2 {
        let _later = upload.push_binary("chunk", vec![1; 10]);
    }
    page.heard("long.bin: init 100").await;
    for _ in 0..2 {
        page.heard("long.bin: write 10").await;
    }
    let cancelled = time::timeout(LONG, page.heard("long.bin: cancel 20"));
    cancelled.await.expect("it is given up");
}

#[tokio::test(start_paused = true)]
async fn chunks_that_are_refused_do_not_keep_an_upload_open() {
    let mut page = Page::open("refused_chunks").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 100)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    for (event, bytes) in [("chunk", 11), ("chunk_at", 18), ("chunk_at", 3)] {
        let refused = upload.push_binary(event, vec![0; bytes]).await;
        refused.expect_refusal();
        time::sleep(Duration::from_millis(300)).await;
    }
    time::sleep(Duration::from_millis(300)).await;
    let heard = ["init 100", "write 10", "cancel 10", "drop"];
    assert_eq!(
        page.rest().await,
        heard.map(|heard| format!("a.bin: {heard}"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_goes_on_has_left_no_timer_behind() {
    let mut page = Page::open("timer_left").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    page.reconnect().await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    let (upload, offset) = join(&page, &token).await;
    assert_eq!(offset, 10);
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    // Time stands still meanwhile, so nothing ends by its deadline.
    for _ in 0..1_000 {
        task::yield_now().await;
    }
    assert_eq!(tasks(), before);
}
