//! The answers to a client's choice of files.

use channel_runtime::{Endpoint, SocketOptions};
use serde_json::{Value, json};

use super::{
    album::User,
    page::{Page, file},
};

#[tokio::test(start_paused = true)]
async fn the_page_is_told_of_every_upload_when_it_has_joined() {
    let page = Page::open("told").await;
    let state = page.state(json!({"name": "photos"})).await;
    assert_eq!(state["accept"], ".jpg,.bin");
    assert_eq!(state["entries"], json!([]));
    page.state(json!({"name": "avatar", "accept": "", "max_entries": 1}))
        .await;
    page.state(json!({"name": "videos", "auto_upload": true}))
        .await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_file_is_given_a_token_once_and_the_limits_every_time() {
    let page = Page::open("pre_dup").await;
    let photos = page.upload("photos").await;
    let config = json!({
        "chunk_size": 10, "chunk_timeout": 1000, "max_entries": 3, "max_file_size": 100
    });
    let first: Value = page
        .allow(&photos, json!([file("0", "a.bin", 1)]))
        .await
        .expect_ok();
    assert!(first["entries"]["0"].is_string(), "{first}");
    assert_eq!((&first["config"], &first["ref"]), (&config, &json!(photos)));
    let again: Value = page
        .allow(&photos, json!([file("0", "b.bin", 2)]))
        .await
        .expect_ok();
    assert_eq!(
        again,
        json!({"ref": photos, "config": config, "entries": {}, "errors": {}})
    );
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn one_bad_file_holds_up_the_others_where_nothing_is_sent_by_itself() {
    let page = Page::open("pre_toolarge").await;
    let photos = page.upload("photos").await;
    for (entry, reason) in [
        (file("0", "a.bin", 101), json!("too_large")),
        (
            json!({"ref": "0", "name": "a.bin", "size": 1.5, "type": ""}),
            json!("too_large"),
        ),
        (
            json!({"ref": "0", "name": "a.exe", "size": 1, "type": "text/html"}),
            json!("not_accepted"),
        ),
        (file("0", "bad.bin", 1), json!("bad name")),
    ] {
        let entries = json!([entry, file("1", "b.bin", 1)]);
        let reply: Value = page.allow(&photos, entries).await.expect_ok();
        assert_eq!(reply, json!({"ref": photos, "error": [["0", reason]]}));
        page.state(json!({"name": "photos", "error_refs": ["0"]}))
            .await;
        cancel(&page, &photos, "0").await;
        cancel(&page, &photos, "1").await;
    }
    page.at_once();
}

async fn cancel(page: &Page, upload: &str, entry_ref: &str) {
    let payload = json!({"ref": upload, "entry_ref": entry_ref});
    page.owner
        .push("upload_cancel", payload)
        .await
        .expect_ok::<()>();
}

#[tokio::test(start_paused = true)]
async fn with_auto_upload_a_bad_file_holds_up_nobody() {
    let page = Page::open("auto").await;
    let videos = page.upload("videos").await;
    let video = json!({"ref": "1", "name": "b.mp4", "size": 1, "type": "video/mp4"});
    let reply: Value = page
        .allow(&videos, json!([file("0", "a.txt", 1), video]))
        .await
        .expect_ok();
    assert_eq!(reply["errors"], json!({"0": ["not_accepted"]}));
    assert_eq!(reply["entries"]["1"]["uploader"], "S3");
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn too_many_files_are_an_error_of_the_upload_until_some_are_gone() {
    let page = Page::open("pre_many").await;
    let photos = page.upload("photos").await;
    let files = json!(
        (0..4)
            .map(|n| file(&n.to_string(), "a.bin", 1))
            .collect::<Vec<_>>()
    );
    let reply: Value = page.allow(&photos, files.clone()).await.expect_ok();
    assert_eq!(
        reply,
        json!({"ref": photos, "error": [[photos, "too_many_files"]]})
    );
    cancel(&page, &photos, "2").await;
    let reply: Value = page
        .allow(&photos, json!([files[0], files[1], files[3]]))
        .await
        .expect_ok();
    assert_eq!(reply["entries"].as_object().unwrap().len(), 3, "{reply}");
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn however_many_files_are_chosen_few_more_than_allowed_are_remembered() {
    let page = Page::open("flood").await;
    let photos = page.upload("photos").await;
    // Comparing each with each would take minutes.
    let files = (0..100_000)
        .map(|n| file(&n.to_string(), "a.bin", 1))
        .collect::<Vec<_>>();
    let reply: Value = page.allow(&photos, json!(files)).await.expect_ok();
    assert_eq!(reply["error"], json!([[photos, "too_many_files"]]));
    let looked: Value = page.owner.push("look", ()).await.expect_ok();
    assert!(looked["photos"].as_u64() < Some(100), "{looked}");
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_new_sole_file_takes_the_place_of_the_old_one() {
    let mut page = Page::open("pre_replace").await;
    let avatar = page.upload("avatar").await;
    let upload = page.begin(&avatar, file("0", "old.bin", 20)).await;
    upload
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    page.token(&avatar, file("1", "new.bin", 5)).await;
    upload.expect_close().await;
    for heard in ["init 20", "write 10", "cancel 10", "drop"] {
        page.heard(&format!("old.bin: {heard}")).await;
    }
    page.state(json!({"name": "avatar", "active_refs": ["1"], "errors": []}))
        .await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn two_new_files_for_one_place_are_too_many() {
    let page = Page::open("sole_two").await;
    let avatar = page.upload("avatar").await;
    let entries = json!([file("0", "a.bin", 1), file("1", "b.bin", 1)]);
    let reply: Value = page.allow(&avatar, entries).await.expect_ok();
    assert_eq!(reply["error"], json!([[avatar, "too_many_files"]]));
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_refused_by_name_and_changes_nothing() {
    let page = Page::open("pre_missing").await;
    let photos = page.upload("photos").await;
    let push = async |event: &str, payload: Value| page.owner.push(event, payload).await;
    let unknown = json!({"ref": "phx-zzz", "entries": []});
    assert_eq!(
        push("allow_upload", unknown.clone()).await.expect_refusal(),
        "unknown upload"
    );
    assert_eq!(
        push("upload_validate", unknown).await.expect_refusal(),
        "unknown upload"
    );
    let entries = json!({"ref": photos, "entries": [{"ref": "0", "name": "x"}]});
    let refused: Value = push("allow_upload", entries).await.response();
    assert_eq!(refused["reason"], "invalid payload");
    assert!(
        refused["field"].as_str().unwrap().contains("size"),
        "{refused}"
    );
    let long = json!({"ref": photos, "entries": [file("0", &"x".repeat(2000), 1)]});
    let refused: Value = push("allow_upload", long).await.response();
    assert_eq!(
        (&refused["reason"], &refused["field"]),
        (&json!("entry too long"), &json!("name"))
    );
    let mut long = file("0", "a.bin", 1);
    long["resume"] = "x".repeat(2000).into();
    let long = json!({"ref": photos, "entries": [long]});
    let refused: Value = push("upload_validate", long).await.response();
    assert_eq!(
        (&refused["reason"], &refused["field"]),
        (&json!("entry too long"), &json!("resume"))
    );
    for progress in [json!(101), json!({"error": 1}), json!(null), json!(-3)] {
        let payload = json!({"ref": photos, "entry_ref": "9", "progress": progress});
        push("progress", payload).await.expect_ok::<()>();
    }
    let payload = json!({"ref": "phx-zzz", "entry_ref": "0", "progress": 1});
    assert_eq!(
        push("progress", payload).await.expect_refusal(),
        "unknown upload"
    );
    let payload = json!({"ref": photos, "entry_ref": "9"});
    assert_eq!(
        push("upload_cancel", payload).await.expect_refusal(),
        "unknown entry"
    );
    page.token(&photos, file("0", "a.bin", 1)).await;
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn files_may_be_validated_before_they_are_asked_for() {
    let page = Page::open("validate").await;
    let photos = page.upload("photos").await;
    let entries = json!([file("0", "bad.bin", 1), file("1", "good.bin", 1)]);
    let payload = json!({"ref": photos, "entries": entries});
    page.owner
        .push("upload_validate", payload)
        .await
        .expect_ok::<()>();
    let state = page
        .state(json!({"name": "photos", "active_refs": ["0", "1"]}))
        .await;
    assert_eq!(state["errors"], json!([["0", "bad name"]]));
    assert_eq!(state["preflighted_refs"], json!([]));
    page.at_once();
}

#[test]
fn a_chunk_that_no_frame_can_carry_is_found_when_the_endpoint_is_built() {
    let options = SocketOptions::default().max_frame_size(1000);
    let built = Endpoint::builder()
        .socket::<User>(options.path("/socket"))
        .build();
    assert_eq!(
        built.unwrap_err().to_string(),
        "the upload \"photos\" has a `chunk_size` of 10 bytes, but a message of its socket has at \
         most 0: lower it, or raise `max_frame_size` and `max_message_size`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_is_pushed_only_where_it_has_changed() {
    let page = Page::open("no_change").await;
    let photos = page.upload("photos").await;
    let push = async |entries: Value| {
        let payload = json!({"ref": photos, "entries": entries});
        let pushed = page.owner.push("upload_validate", payload);
        pushed.await.expect_ok::<()>();
    };
    push(json!([file("0", "a.bin", 1)])).await;
    page.state(json!({"name": "photos", "active_refs": ["0"]}))
        .await;
    for _ in 0..100 {
        push(json!([])).await;
        push(json!([file("0", "a.bin", 1)])).await;
    }
    push(json!([file("1", "b.bin", 1)])).await;
    let next = page.state(json!({"name": "photos"})).await;
    assert_eq!(next["active_refs"], json!(["0", "1"]));
}

#[tokio::test(start_paused = true)]
async fn a_meta_is_measured_as_text_and_what_is_too_long_takes_no_file_along() {
    let page = Page::open("long_meta").await;
    let photos = page.upload("photos").await;
    let mut long = file("1", "b.bin", 1);
    long["meta"] = json!([0].repeat(2_100));
    let entries = json!([file("0", "a.bin", 1), long]);
    let refused: Value = page.allow(&photos, entries).await.response();
    assert_eq!(
        (&refused["reason"], &refused["field"], &refused["limit"]),
        (&json!("entry too long"), &json!("meta"), &json!(4096))
    );
    let looked: Value = page.owner.push("look", ()).await.expect_ok();
    assert_eq!(looked["photos"], 0);
}

#[test]
fn files_that_no_client_can_join_a_channel_for_are_found_when_the_endpoint_is_built() {
    let built = |channels| {
        let options = SocketOptions::default().max_channels(channels);
        let endpoint = Endpoint::builder().socket::<User>(options.path("/socket"));
        endpoint.build()
    };
    assert_eq!(
        built(3).unwrap_err().to_string(),
        "the upload \"photos\" has 3 `max_entries`, each with a channel of its own beside the one \
         that takes them, but its socket has 3 `max_channels`: lower the one, or raise the other"
    );
    assert!(built(4).is_ok());
}
