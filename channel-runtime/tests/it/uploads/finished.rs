//! Files that were complete when their client was lost.

use channel_runtime::test::TestChannel;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::{
    album::LONG,
    page::{Page, file},
    resume::{again, join},
};

/// Joins as a client that can resume, and returns the refusal.
async fn refused(page: &Page, token: &str) -> String {
    let payload = json!({"token": token, "resume": true});
    let refused = page.client.join("lvu:0", payload).await.unwrap_err();
    refused.expect_refusal()
}

#[tokio::test(start_paused = true)]
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
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_taken_is_not_brought_again_by_a_client_that_missed_the_answer() {
    let mut page = Page::open("resume_after").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 10)).await;
    let (upload, _) = join(&page, &token).await;
    let _lost = upload.push_binary("chunk", vec![1; 10]);
    for heard in ["init 10", "write 10", "done 10", "meta", "handle 10 at 100"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.reconnect().await;
    let photos = page.upload("photos").await;
    let reply = page
        .allow(
            &photos,
            json!([again("a.bin", 10, &token), file("1", "b.bin", 5)]),
        )
        .await;
    let reply: Value = reply.expect_ok();
    let token_of = |reply: &Value| reply["entries"]["0"].as_str().unwrap().to_owned();
    assert_eq!(refused(&page, &token_of(&reply)).await, "taken");
    page.state(json!({"name": "photos", "active_refs": ["1"]}))
        .await;
    let other = page
        .allow(&photos, json!([again("c.bin", 10, &token)]))
        .await;
    join(&page, &token_of(&other.expect_ok())).await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_acknowledged_is_handed_over_though_its_connection_breaks() {
    let mut page = Page::open("resume_due").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 10)).await;
    let (upload, _) = join(&page, &token).await;
    let _busy = page.owner.push("nap", ());
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.client = page.another().await;
    for heard in ["init 10", "write 10", "done 10", "meta", "handle 10 at 100"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
}

/// Begins a file of ten bytes that is in its last write while a handler of the page's channel does
/// not return. Returns its token.
async fn in_its_last_write(page: &mut Page, handler: &str) -> (TestChannel, String) {
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "slow.bin", 10)).await;
    let (upload, _) = join(page, &token).await;
    let _lost = upload.push_binary("chunk", vec![1; 10]);
    page.heard("slow.bin: init 10").await;
    page.heard("slow.bin: write 10").await;
    let _busy = page.owner.push(handler, ());
    assert!(page.rest().await.is_empty());
    (upload, token)
}

/// Checks that the page resumes that file, which is handed over once and not sent again.
async fn is_found_finished(page: &mut Page, token: &str) {
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("slow.bin", 10, token)).await;
    assert_eq!(join(page, &token).await.1, 10);
    sleep(LONG).await;
    let heard = page.rest().await;
    let expected = ["meta", "handle 10 at 100", "drop"];
    assert_eq!(heard, expected.map(|what| format!("slow.bin: {what}")));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_finished_behind_the_end_of_its_connection_is_found_finished() {
    let mut page = Page::open("finished_behind").await;
    let (_upload, token) = in_its_last_write(&mut page, "nap").await;
    let back = page.another().await;
    std::mem::replace(&mut page.client, back).close().await;
    page.release();
    page.heard("slow.bin: done 10").await;
    page.rejoin().await;
    is_found_finished(&mut page, &token).await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_file_whose_channel_never_comes_to_it_is_found_finished() {
    let mut page = Page::open("finished_overdue").await;
    let (_upload, token) = in_its_last_write(&mut page, "sleep").await;
    page.release();
    page.heard("slow.bin: done 10").await;
    page.reconnect().await;
    // Its channel is dropped by then.
    sleep(Duration::from_secs(7)).await;
    is_found_finished(&mut page, &token).await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_file_is_not_said_to_be_taken_by_a_channel_that_may_never_come_to_it() {
    let mut page = Page::open("finished_hang").await;
    let (upload, token) = in_its_last_write(&mut page, "sleep").await;
    page.release();
    page.heard("slow.bin: done 10").await;
    upload.leave().await;
    // The server does not know that the connection is dead.
    let back = page.another().await;
    let _dead = std::mem::replace(&mut page.client, back);
    page.rejoin().await;
    is_found_finished(&mut page, &token).await;
    page.release();
    assert!(page.rest().await.is_empty(), "it is handed over once");
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_last_write_outlasts_its_clients_patience_is_not_brought_again() {
    let mut page = Page::open("resume_patience").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "slow.bin", 10)).await;
    let (upload, _) = join(&page, &token).await;
    let _late = upload.push_binary("chunk", vec![1; 10]);
    page.heard("slow.bin: init 10").await;
    page.heard("slow.bin: write 10").await;
    let left = upload.leave();
    let token = page.token(&photos, again("slow.bin", 10, &token)).await;
    let release = async { page.release() };
    let (reason, (), ()) = tokio::join!(refused(&page, &token), left, release);
    assert_eq!(reason, "taken");
    for heard in ["done 10", "meta", "handle 10 at 100", "drop"] {
        page.heard(&format!("slow.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_finished_file_that_its_client_has_left_is_found_again() {
    let mut page = Page::open("resume_left").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "postpone.bin", 3)).await;
    let (upload, _) = join(&page, &token).await;
    upload
        .push_binary("chunk", vec![1; 3])
        .await
        .expect_ok::<()>();
    for heard in ["init 3", "write 3", "done 3", "meta", "handle 3 at 100"] {
        page.heard(&format!("postpone.bin: {heard}")).await;
    }
    upload.leave().await;
    let token = page.token(&photos, again("postpone.bin", 3, &token)).await;
    assert_eq!(join(&page, &token).await.1, 3);
    for heard in ["meta", "handle 3 at 100", "drop"] {
        page.heard(&format!("postpone.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_client_has_left_before_its_handler_is_free_is_not_brought_again() {
    let mut page = Page::open("resume_busy").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("7", "a.bin", 10)).await;
    let (upload, _) = join(&page, &token).await;
    let _busy = page.owner.push("nap", ());
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    upload.leave().await;
    for heard in ["init 10", "write 10", "done 10", "meta", "handle 10 at 100"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    let token = page.token(&photos, again("a.bin", 10, &token)).await;
    assert_eq!(refused(&page, &token).await, "taken");
}
