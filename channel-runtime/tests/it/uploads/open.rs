//! The number of uploads that are open at once, per socket and in total.

use channel_runtime::{Endpoint, test::TestChannel, upload::UploadOptions};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::{
    album::User,
    page::{Page, file},
};

async fn open(test: &str, all: usize, each: usize) -> Page {
    let options = UploadOptions::default()
        .max_open(all)
        .max_open_per_socket(each);
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .upload_options(options)
        .build()
        .unwrap();
    Page::open_at(endpoint, test).await
}

/// Opens the same album over another connection.
async fn beside(page: &Page, test: &str) -> Page {
    Page::open_at(page.endpoint.clone(), test).await
}

/// Begins a file whose client may take its time.
async fn one(page: &Page) -> TestChannel {
    let scans = page.upload("scans").await;
    page.begin(&scans, file("0", "a.bin", 25)).await
}

/// Returns the tokens of two files of 25 bytes, `0` and `1`.
async fn two(page: &Page, photos: &str, name: &str) -> [String; 2] {
    let entries = json!([file("0", name, 25), file("1", "b.bin", 25)]);
    let reply: Value = page.allow(photos, entries).await.expect_ok();
    ["0", "1"].map(|entry| reply["entries"][entry].as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn one_more_than_a_socket_may_have_is_refused_and_the_page_is_told() {
    let mut page = open("open_refused", 8, 1).await;
    let photos = page.upload("photos").await;
    let first = one(&page).await;
    let token = page.token(&photos, file("1", "ended.bin", 25)).await;
    let asked = Instant::now();
    let refused = page.join("1", &token).await.unwrap_err();
    assert_eq!(
        (refused.as_str(), asked.elapsed()),
        ("too_many_open", Duration::from_secs(5))
    );
    let state = page
        .state(json!({"name": "photos", "errors": [["1", "too_many_open"]]}))
        .await;
    assert_eq!(state["active_refs"], json!([]));
    let heard = page.rest().await;
    assert!(
        heard.contains(&"ended \"too_many_open\"".to_owned()),
        "{heard:?}"
    );
    // Open uploads go on, and other sockets have places of their own.
    first
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    let beside = beside(&page, "open_refused_beside").await;
    let photos = beside.upload("photos").await;
    beside.begin(&photos, file("0", "c.bin", 25)).await;
}

#[tokio::test(start_paused = true)]
async fn one_more_than_all_sockets_may_have_is_refused() {
    let page = open("open_all", 1, 1).await;
    let beside = beside(&page, "open_all_beside").await;
    let _first = one(&page).await;
    let photos = beside.upload("photos").await;
    let token = beside.token(&photos, file("0", "b.bin", 25)).await;
    let refused = beside.join("0", &token).await.unwrap_err();
    assert_eq!(refused, "too_many_open");
}

#[tokio::test(start_paused = true)]
async fn a_join_waits_for_a_place_and_holds_up_no_other_channel() {
    let page = open("open_waits", 8, 1).await;
    let photos = page.upload("photos").await;
    let tokens = two(&page, &photos, "a.bin").await;
    let first = page.join("0", &tokens[0]).await.unwrap();
    let second = page.join("1", &tokens[1]);
    let end = async {
        for bytes in [10, 10, 5] {
            let chunk = first.push_binary("chunk", vec![1; bytes]).await;
            chunk.expect_ok::<()>();
        }
    };
    let (second, ()) = tokio::join!(second, end);
    second.unwrap();
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn every_end_of_an_upload_leaves_its_place() {
    let page = open("open_ends", 1, 1).await;
    let photos = page.upload("photos").await;
    for name in ["init_error.bin", "init_panic.bin"] {
        let token = page.token(&photos, file("0", name, 25)).await;
        assert_eq!(page.join("0", &token).await.unwrap_err(), "writer_error");
        let cancel = json!({"ref": photos, "entry_ref": "0"});
        page.owner
            .push("upload_cancel", cancel)
            .await
            .expect_ok::<Value>();
    }
    for (name, sent) in [("left.bin", 0), ("over.bin", 26), ("write_error.bin", 20)] {
        let upload = page.begin(&photos, file("0", name, 25)).await;
        match sent {
            0 => {
                upload.leave().await;
            }
            26 => {
                let refused = upload.push_binary("chunk", vec![1; 26]).await;
                refused.expect_refusal();
            }
            _ => {
                for _ in 0..2 {
                    let _refused = upload.push_binary("chunk", vec![1; 10]).await;
                }
            }
        }
        let cancel = json!({"ref": photos, "entry_ref": "0"});
        let _gone = page.owner.push("upload_cancel", cancel).await;
    }
    page.begin(&photos, file("0", "last.bin", 25)).await;
    page.at_once();
}

/// Returns true if a second file finds a place while the first, of this name, waits for its client.
async fn is_free_while_paused(test: &str, name: &str) -> bool {
    let page = open(test, 8, 1).await;
    let photos = page.upload("photos").await;
    let tokens = two(&page, &photos, name).await;
    let payload = json!({"token": tokens[0], "resume": true});
    let first = page.client.join("lvu:0", payload).await.unwrap();
    first
        .push_binary("chunk", vec![1; 10])
        .await
        .expect_ok::<()>();
    first.leave().await;
    let joined = Instant::now();
    page.join("1", &tokens[1]).await.unwrap();
    joined.elapsed().is_zero()
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_waits_for_its_client_has_a_place_only_where_its_writer_is_open() {
    assert!(is_free_while_paused("open_paused", "pausing.bin").await);
    // Its `detach` is less than the second waits.
    assert!(!is_free_while_paused("open_open", "a.bin").await);
}
