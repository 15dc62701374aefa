//! The fate of one file affects no other file, and nothing else.

use serde_json::{Value, json};

use super::page::{Page, file};

/// Checks that another file of the same page arrives, and that the channel answers.
async fn all_is_well(page: &Page, photos: &str) {
    let upload = page.begin(photos, file("well", "well.bin", 10)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    upload.expect_close().await;
    page.owner.push("look", ()).await.expect_ok::<Value>();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_cannot_open_refuses_the_join() {
    for name in ["init_error.bin", "init_panic.bin"] {
        let mut page = Page::open(name).await;
        let photos = page.upload("photos").await;
        let token = page.token(&photos, file("0", name, 10)).await;
        assert_eq!(page.join("0", &token).await.unwrap_err(), "writer_error");
        page.state(json!({"name": "photos", "error_refs": ["0"]}))
            .await;
        assert_eq!(page.join("0", &token).await.unwrap_err(), "disallowed");
        assert_eq!(
            page.rest().await,
            [format!("{name}: init 10"), format!("{name}: drop")]
        );
        all_is_well(&page, &photos).await;
        page.at_once();
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_fails_is_closed_with_the_error_and_the_client_is_told() {
    for (name, cause) in [
        ("write_error.bin", "as_asked"),
        ("write_panic.bin", "writer_failure"),
    ] {
        let mut page = Page::open(name).await;
        let photos = page.upload("photos").await;
        let upload = page.begin(&photos, file("0", name, 30)).await;
        upload
            .push_binary("chunk", vec![1; 10])
            .await
            .expect_ok::<()>();
        let reply = upload.push_binary("chunk", vec![1; 10]).await;
        assert_eq!(reply.expect_refusal(), "writer_error");
        upload.expect_close().await;
        let state = page
            .state(json!({"name": "photos", "error_refs": ["0"]}))
            .await;
        let reason = json!({"reason": "writer_failure", "cause": cause});
        assert_eq!(state["errors"], json!([["0", reason]]));
        for heard in [
            "init 30",
            "write 10",
            "write 10",
            &format!("error {cause}"),
            "drop",
        ] {
            page.heard(&format!("{name}: {heard}")).await;
        }
        all_is_well(&page, &photos).await;
        page.at_once();
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_cannot_close_has_failed_and_is_not_closed_again() {
    for name in ["close_error.bin", "close_panic.bin"] {
        let mut page = Page::open(name).await;
        let photos = page.upload("photos").await;
        let upload = page.begin(&photos, file("0", name, 10)).await;
        let reply = upload.push_binary("chunk", vec![1; 10]).await;
        assert_eq!(reply.expect_refusal(), "writer_error");
        upload.expect_close().await;
        page.state(json!({"name": "photos", "error_refs": ["0"], "done_refs": []}))
            .await;
        for heard in ["init 10", "write 10", "done 10", "drop"] {
            page.heard(&format!("{name}: {heard}")).await;
        }
        all_is_well(&page, &photos).await;
        page.at_once();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_an_upload_gives_up_that_file_alone() {
    let mut page = Page::open("leave").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 20)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    upload.leave().await;
    page.state(json!({"name": "photos", "active_refs": []}))
        .await;
    for heard in ["init 20", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    all_is_well(&page, &photos).await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_second_join_of_the_same_topic_ends_the_first_upload_and_is_refused() {
    let mut page = Page::open("rejoin_same").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 20)).await;
    let upload = page.join("0", &token).await.unwrap();
    assert_eq!(page.join("0", &token).await.unwrap_err(), "disallowed");
    upload.expect_close().await;
    for heard in ["init 20", "cancel 0", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    all_is_well(&page, &photos).await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_slow_writer_holds_up_neither_the_channel_nor_another_upload() {
    let mut page = Page::open("slow").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "slow.bin", 10)).await;
    let slow = upload.push_binary("chunk", vec![1; 10]);
    page.heard("slow.bin: init 10").await;
    page.heard("slow.bin: write 10").await;
    all_is_well(&page, &photos).await;
    page.release();
    slow.await.expect_ok::<()>();
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_writer_ends_the_write_it_is_in_first() {
    let mut page = Page::open("slow_cancel").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "slow.bin", 20)).await;
    let slow = upload.push_binary("chunk", vec![1; 10]);
    page.heard("slow.bin: init 20").await;
    page.heard("slow.bin: write 10").await;
    page.owner.push("cancel", "0").await.expect_ok::<bool>();
    page.state(json!({"name": "photos", "active_refs": []}))
        .await;
    assert!(page.rest().await.is_empty());
    page.release();
    slow.await.expect_ok::<()>();
    page.heard("slow.bin: cancel 10").await;
    upload.expect_close().await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_busy_channel_holds_up_no_upload() {
    let mut page = Page::open("busy").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 10)).await;
    let busy = page.owner.push("sleep", ());
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.state(json!({"name": "photos", "done_refs": ["0"]}))
        .await;
    for heard in ["init 10", "write 10", "done 10"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    assert!(
        page.rest().await.is_empty(),
        "nobody takes it while the channel is busy"
    );
    page.release();
    busy.await.expect_ok::<()>();
    page.heard("a.bin: meta").await;
    page.heard("a.bin: handle 10 at 100").await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_channel_is_the_end_of_its_uploads() {
    let mut page = Page::open("crash").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 20)).await;
    page.token(&photos, file("1", "b.bin", 20)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.owner.cast("crash", ());
    page.owner.expect_error().await;
    upload.expect_close().await;
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.extend(page.by_now());
        tokio::task::yield_now().await;
    }
    heard.sort();
    assert_eq!(
        heard,
        [
            "a.bin: cancel 10",
            "a.bin: drop",
            "a.bin: init 20",
            "a.bin: write 10"
        ]
    );
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_gives_up_its_uploads() {
    let mut page = Page::open("drop").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 20)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.reconnect().await;
    for heard in ["init 20", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_panics_when_it_is_dropped_ends_nothing_else() {
    let page = Page::open("drop_panic").await;
    let photos = page.upload("photos").await;
    page.token(&photos, file("0", "drop_panic.bin", 10)).await;
    assert!(page.owner.push("cancel", "0").await.expect_ok::<bool>());
    all_is_well(&page, &photos).await;
    page.token(&photos, file("1", "drop_panic.bin", 10)).await;
    page.owner.leave().await;
    page.client.join("album:drop_panic", ()).await.unwrap();
}
