//! Clients that send chunks before the earlier ones are answered.

use channel_runtime::test::TestChannel;
use serde_json::{Value, json};

use super::{
    page::{Page, file},
    resume::{again, join},
};

/// Returns a chunk of ten bytes that begins with its offset.
pub(crate) fn at(offset: u64) -> Vec<u8> {
    [&offset.to_be_bytes()[..], &[1; 10]].concat()
}

async fn slow(page: &mut Page, name: &str) -> TestChannel {
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", name, 100)).await;
    let (upload, _) = join(page, &token).await;
    page.heard(&format!("{name}: init 100")).await;
    upload
}

#[tokio::test(start_paused = true)]
async fn a_client_hears_how_many_chunks_it_may_have_on_their_way() {
    let page = Page::open("ahead_window").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 10)).await;
    let payload = json!({"token": token, "resume": true});
    let upload = page.client.join("lvu:0", payload).await.unwrap();
    assert_eq!(upload.response::<Value>()["window"], 2);
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn one_chunk_is_written_one_waits_and_those_beyond_are_refused_whatever_a_client_sends() {
    for event in ["chunk", "chunk_at"] {
        let mut page = Page::open(&format!("ahead_{event}")).await;
        let upload = slow(&mut page, "slow.bin").await;
        let chunk = |n: u64| match event {
            "chunk" => vec![1; 10],
            _ => at(10 * n),
        };
        let mut sent: Vec<_> = (0..10)
            .map(|n| upload.push_binary(event, chunk(n)))
            .collect();
        // Also one that is much larger than a chunk may be.
        sent.push(upload.push_binary(event, vec![1; 1 << 20]));
        let taken: Vec<_> = sent.drain(..2).collect();
        for refused in sent {
            assert_eq!(refused.await.expect_refusal(), "channel overloaded");
        }
        page.heard("slow.bin: write 10").await;
        assert!(page.rest().await.is_empty());
        for _ in 0..2 {
            page.release();
        }
        for taken in taken {
            taken.await.expect_ok::<()>();
        }
        page.heard("slow.bin: write 10").await;
        assert!(
            page.rest().await.is_empty(),
            "what was refused is not written"
        );
        page.at_once();
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_not_written_in_the_place_of_one_that_was_refused() {
    let mut page = Page::open("ahead_hole").await;
    let upload = slow(&mut page, "slow.bin").await;
    let first = upload.push_binary("chunk_at", at(0));
    let second = upload.push_binary("chunk_at", at(10));
    let refused = upload.push_binary("chunk_at", at(20)).await;
    assert_eq!(refused.expect_refusal(), "channel overloaded");
    for _ in 0..3 {
        page.release();
    }
    first.await.expect_ok::<()>();
    second.await.expect_ok::<()>();
    for elsewhere in [30, 10, u64::MAX] {
        let refused = upload.push_binary("chunk_at", at(elsewhere)).await;
        assert_eq!(
            refused.response::<Value>(),
            json!({"reason": "wrong_offset", "offset": 20})
        );
    }
    upload
        .push_binary("chunk_at", at(20))
        .await
        .expect_ok::<()>();
    for _ in 0..3 {
        page.heard("slow.bin: write 10").await;
    }
    assert!(page.rest().await.is_empty());
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_too_large_or_says_no_offset_is_refused_and_changes_nothing() {
    let mut page = Page::open("ahead_large").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "a.bin", 20)).await;
    let (upload, _) = join(&page, &token).await;
    let large = upload.push_binary("chunk", vec![1; 11]).await;
    assert_eq!(
        large.response::<Value>(),
        json!({"reason": "chunk_too_large", "limit": 10})
    );
    let short = upload.push_binary("chunk_at", vec![0; 7]).await;
    assert_eq!(short.expect_refusal(), "no offset");
    let text = upload.push("chunk_at", "text").await;
    assert_eq!(text.expect_refusal(), "invalid payload");
    for offset in [0, 10] {
        upload
            .push_binary("chunk_at", at(offset))
            .await
            .expect_ok::<()>();
    }
    for heard in ["init 20", "write 10", "write 10", "done 20"] {
        page.heard(&format!("a.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(start_paused = true)]
async fn chunks_on_their_way_when_the_connection_breaks_are_written_in_order_or_not_at_all() {
    let mut page = Page::open("ahead_broken").await;
    let photos = page.upload("photos").await;
    let token = page.token(&photos, file("0", "slow.bin", 30)).await;
    let (upload, _) = join(&page, &token).await;
    for offset in [0, 10] {
        let _lost = upload.push_binary("chunk_at", at(offset));
    }
    page.heard("slow.bin: init 30").await;
    page.heard("slow.bin: write 10").await;
    page.reconnect().await;
    for _ in 0..3 {
        page.release();
    }
    let photos = page.upload("photos").await;
    let token = page.token(&photos, again("slow.bin", 30, &token)).await;
    let (upload, offset) = join(&page, &token).await;
    for offset in (offset..30).step_by(10) {
        upload
            .push_binary("chunk_at", at(offset))
            .await
            .expect_ok::<()>();
    }
    for heard in ["write 10", "write 10", "done 30"] {
        page.heard(&format!("slow.bin: {heard}")).await;
    }
    page.at_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_with_two_chunks_on_their_way_is_never_refused() {
    let page = Page::open("ahead_stream").await;
    let scans = page.upload("scans").await;
    let token = page.token(&scans, file("0", "a.bin", 30_000)).await;
    let (upload, _) = join(&page, &token).await;
    let mut before = None;
    for offset in (0..30_000).step_by(10) {
        let chunk = upload.push_binary("chunk_at", at(offset));
        if let Some(before) = before.replace(chunk) {
            before.await.expect_ok::<()>();
        }
    }
    before.unwrap().await.expect_ok::<()>();
}
