//! The handlers of a channel with files.

use serde_json::{Value, json};

use super::page::{Page, file};

#[tokio::test(start_paused = true)]
async fn a_postponed_file_stays_and_is_taken_later() {
    let mut page = Page::open("postpone").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "postpone.bin", 3)).await;
    upload
        .push_binary("chunk", vec![1; 3])
        .await
        .expect_ok::<()>();
    for heard in ["init 3", "write 3", "done 3", "meta", "handle 3 at 100"] {
        page.heard(&format!("postpone.bin: {heard}")).await;
    }
    assert_eq!(page.owner.push("take", "0").await.expect_ok::<usize>(), 3);
    upload.expect_close().await;
    for heard in ["meta", "drop"] {
        page.heard(&format!("postpone.bin: {heard}")).await;
    }
    assert_eq!(
        page.owner.push("take", "0").await.expect_refusal(),
        "there is no such entry"
    );
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_refused_file_is_dropped_and_the_page_is_told_why() {
    let mut page = Page::open("refuse").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "refuse.bin", 3)).await;
    upload
        .push_binary("chunk", vec![1; 3])
        .await
        .expect_ok::<()>();
    upload.expect_close().await;
    let state = page
        .state(json!({"name": "photos", "error_refs": ["0"]}))
        .await;
    assert_eq!(state["errors"], json!([["0", "not nice"]]));
    for heard in [
        "init 3",
        "write 3",
        "done 3",
        "meta",
        "handle 3 at 100",
        "drop",
    ] {
        page.heard(&format!("refuse.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn an_upload_without_a_handler_is_taken_by_hand_once_all_of_it_is_done() {
    let page = Page::open("by_hand").await;
    let avatar = page.upload("avatar").await;
    let upload = page.begin(&avatar, file("0", "me.bin", 20)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    assert_eq!(
        page.owner.push("save", ["me.bin"]).await.expect_refusal(),
        "the upload is not done"
    );
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let nothing: Vec<String> = page.owner.push("save", [""; 0]).await.expect_ok();
    assert!(nothing.is_empty());
    let saved: Vec<String> = page.owner.push("save", ["me.bin"]).await.expect_ok();
    assert_eq!(saved, ["me.bin"]);
    upload.expect_close().await;
    page.state(json!({"name": "avatar", "active_refs": []}))
        .await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn progress_is_of_bytes_that_were_written_and_never_the_clients_word() {
    let mut page = Page::open("liedone").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "progress.bin", 20)).await;
    let lie = json!({"ref": photos, "entry_ref": "0", "progress": 100, "event": null});
    page.owner
        .push("progress", lie.clone())
        .await
        .expect_ok::<()>();
    let state = page
        .state(json!({"name": "photos", "active_refs": ["0"]}))
        .await;
    assert_eq!(state["entries"][0]["progress"], 0);
    let half = json!({"ref": photos, "entry_ref": "0", "progress": 70});
    page.owner.push("progress", half).await.expect_ok::<()>();
    page.heard("progress.bin: init 20").await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.heard("progress.bin: write 10").await;
    page.heard("progress 50").await;
    page.owner.push("progress", lie).await.expect_ok::<()>();
    page.state(json!({"name": "photos", "entries": [{"progress": 50}]}))
        .await;
    assert_eq!(
        page.owner.push("take", "0").await.expect_refusal(),
        "the upload is not done"
    );
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_is_cancelled_by_the_page_or_by_the_channel_and_its_writer_hears_of_it() {
    let mut page = Page::open("cancel").await;
    let photos = page.upload("photos").await;
    let upload = page.begin(&photos, file("0", "a.bin", 20)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let cancel = json!({"ref": photos, "entry_ref": "0"});
    page.owner
        .push("upload_cancel", cancel)
        .await
        .expect_ok::<()>();
    upload.expect_close().await;
    for heard in ["init 20", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    let upload = page.begin(&photos, file("1", "b.bin", 20)).await;
    assert!(page.owner.push("cancel", "1").await.expect_ok::<bool>());
    assert!(!page.owner.push("cancel", "1").await.expect_ok::<bool>());
    upload.expect_close().await;
    for heard in ["init 20", "cancel 0", "drop"] {
        page.heard(&format!("b.bin: {heard}")).await;
    }
    page.state(json!({"name": "photos", "active_refs": []}))
        .await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn the_refusal_of_a_destination_is_the_answer_and_the_entrys_error() {
    let page = Page::open("unwanted").await;
    let photos = page.upload("photos").await;
    let reply: Value = page
        .allow(&photos, json!([file("0", "unwanted.bin", 1)]))
        .await
        .expect_ok();
    assert_eq!(reply, json!({"ref": photos, "error": [["0", "unwanted"]]}));
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn the_refusal_of_one_destination_costs_the_other_files_nothing() {
    let page = Page::open("unwanted_one").await;
    let photos = page.upload("photos").await;
    let files = [
        file("0", "a.bin", 1),
        file("1", "unwanted.bin", 1),
        file("2", "b.bin", 1),
    ];
    let reply: Value = page.allow(&photos, json!(files)).await.expect_ok();
    assert_eq!(reply, json!({"ref": photos, "error": [["1", "unwanted"]]}));
    let reply: Value = page.allow(&photos, json!(files)).await.expect_ok();
    for entry_ref in ["0", "2"] {
        let token = reply["entries"][entry_ref].as_str();
        let token = token.unwrap_or_else(|| panic!("no token for {entry_ref} in {reply}"));
        page.join(entry_ref, token).await.unwrap();
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn files_that_could_be_taken_stay_where_another_cannot() {
    let mut page = Page::open("take_panic").await;
    let photos = page.upload("photos").await;
    for (entry_ref, name) in [("0", "keep.bin"), ("1", "keep_meta_panic.bin")] {
        let upload = page.begin(&photos, file(entry_ref, name, 3)).await;
        upload
            .push_binary("chunk", vec![1; 3])
            .await
            .expect_ok::<()>();
        for heard in ["init 3", "write 3", "done 3", "meta", "handle 3 at 100"] {
            page.heard(&format!("{name}: {heard}")).await;
        }
    }
    assert_eq!(
        page.owner.push("take_finished", ()).await.expect_refusal(),
        "the writer cannot say what it wrote"
    );
    let taken: usize = page.owner.push("take_finished", ()).await.expect_ok();
    assert_eq!(taken, 1, "the other one is not lost");
    page.at_once();
}
