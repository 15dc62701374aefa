//! Files that a client cancels by their token, when its page no longer lists them.

use channel_runtime::test::TestReply;
use serde_json::json;

use super::{
    page::{Page, file},
    resume::{again, join},
};

async fn give_up(page: &Page, upload: &str, token: &str) -> TestReply {
    let payload = json!({"ref": upload, "token": token});
    page.owner.push("upload_cancel", payload).await
}

/// Begins a file, sends ten bytes, and lets its client leave.
async fn paused(page: &mut Page, photos: &str) -> String {
    let token = page.token(photos, file("7", "a.bin", 25)).await;
    let (upload, _) = join(page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    upload.leave().await;
    page.heard("a.bin: init 25").await;
    page.heard("a.bin: write 10").await;
    token
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_paused_is_given_up_at_once() {
    let mut page = Page::open("given_up").await;
    let photos = page.upload("photos").await;
    let token = paused(&mut page, &photos).await;
    give_up(&page, &photos, &token).await.expect_ok::<()>();
    page.heard("a.bin: cancel 10").await;
    page.heard("a.bin: drop").await;
    let again_ = give_up(&page, &photos, &token).await;
    assert_eq!(again_.expect_refusal(), "unknown entry");
    let token = page.token(&photos, again("a.bin", 25, &token)).await;
    assert_eq!(join(&page, &token).await.1, 0, "it would begin anew");
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn what_it_was_to_go_on_with_is_given_up_with_a_token_that_was_not_used() {
    let mut page = Page::open("given_up_newest").await;
    let photos = page.upload("photos").await;
    let token = paused(&mut page, &photos).await;
    let newest = page.token(&photos, again("a.bin", 25, &token)).await;
    let both = json!({"ref": photos, "entry_ref": "0", "token": newest});
    page.owner
        .push("upload_cancel", both)
        .await
        .expect_ok::<()>();
    page.heard("a.bin: cancel 10").await;
    page.heard("a.bin: drop").await;
    page.state(json!({"name": "photos", "active_refs": []}))
        .await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_is_given_up_after_a_broken_connection_and_only_by_the_page_it_is_of() {
    let mut page = Page::open("given_up_broken").await;
    let photos = page.upload("photos").await;
    let token = paused(&mut page, &photos).await;
    page.reconnect().await;
    let (photos, avatar) = (page.upload("photos").await, page.upload("avatar").await);
    let elsewhere = Page::open_at(page.endpoint.clone(), "given_up_elsewhere").await;
    let their_photos = elsewhere.upload("photos").await;
    let forged = format!("{token}x");
    for (page, upload, token) in [
        (&page, &avatar, &token),
        (&elsewhere, &their_photos, &token),
        (&page, &photos, &forged),
    ] {
        let refused = give_up(page, upload, token).await;
        assert_eq!(refused.expect_refusal(), "unknown entry");
    }
    assert!(page.rest().await.is_empty());
    give_up(&page, &photos, &token).await.expect_ok::<()>();
    page.heard("a.bin: cancel 10").await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_given_up_on_a_connection_that_does_not_know_it_is_dead() {
    let mut page = Page::open("given_up_dead").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "a.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    let back = Page::open_at(page.endpoint.clone(), "given_up_dead").await;
    let photos = back.upload("photos").await;
    give_up(&back, &photos, &token).await.expect_ok::<()>();
    upload.expect_close().await;
    for heard in ["init 25", "cancel 0", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.state(json!({"name": "photos", "active_refs": []}))
        .await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_left_in_the_middle_of_a_write_is_given_up_after_it() {
    let mut page = Page::open("given_up_writing").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "slow.bin", 25)).await;
    let (upload, _) = join(&page, &token).await;
    let _lost = upload.push_binary("chunk", vec![1; 10]);
    page.heard("slow.bin: init 25").await;
    page.heard("slow.bin: write 10").await;
    let left = upload.leave();
    give_up(&page, &photos, &token).await.expect_ok::<()>();
    page.release();
    left.await;
    page.heard("slow.bin: cancel 10").await;
    page.heard("slow.bin: drop").await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_finished_file_that_nobody_has_taken_is_given_up_too() {
    let mut page = Page::open("given_up_done").await;
    let avatar = page.upload("avatar").await;
    let token = page.token(&avatar, file("0", "me.bin", 10)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    for heard in ["init 10", "write 10", "done 10"] {
        page.heard(&format!("me.bin: {heard}")).await;
    }
    page.reconnect().await;
    let avatar = page.upload("avatar").await;
    give_up(&page, &avatar, &token).await.expect_ok::<()>();
    page.heard("me.bin: drop").await;
    page.at_once();
}
