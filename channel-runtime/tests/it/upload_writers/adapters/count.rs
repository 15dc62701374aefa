//! Every file that was begun is counted again when it ends.

use channel_runtime::{
    Bytes,
    upload::{CloseReason, Count, Counts, Discard, UploadWriter},
};

use super::Kept;
use crate::upload_writers::support::{entry, upload};

fn ends(counts: &Counts) -> [u64; 5] {
    [
        counts.started(),
        counts.done(),
        counts.cancelled(),
        counts.failed(),
        counts.in_progress(),
    ]
}

#[tokio::test]
async fn files_and_bytes_are_counted_by_how_they_end() {
    let counts = Counts::new();
    upload(&mut Count::new(Discard, &counts), &[b"four", b"five!"])
        .await
        .unwrap();
    assert_eq!((ends(&counts), counts.bytes()), ([1, 1, 0, 0, 0], 9));

    let mut cancelled = Count::new(Discard, &counts);
    cancelled.init(&entry(100)).await.unwrap();
    cancelled
        .write_chunk(Bytes::from_static(b"some"))
        .await
        .unwrap();
    assert_eq!((ends(&counts), counts.bytes()), ([2, 1, 0, 0, 1], 13));
    cancelled.close(CloseReason::Cancel).await.unwrap();
    assert_eq!(ends(&counts), [2, 1, 1, 0, 0]);
    drop(cancelled);

    let failed = upload(
        &mut Count::new(Kept::failing_at(1), &counts),
        &[b"one", b"two"],
    )
    .await;
    assert_eq!(failed.unwrap_err().reason(), "broken");
    assert_eq!((ends(&counts), counts.bytes()), ([3, 1, 1, 1, 0], 16));
}

#[tokio::test]
async fn a_writer_that_is_dropped_counts_as_cancelled() {
    let counts = Counts::new();
    let mut writer = Count::new(Discard, &counts);
    writer.init(&entry(100)).await.unwrap();
    drop(writer);
    assert_eq!(ends(&counts), [1, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_writer_that_never_began_does_not_count() {
    let counts = Counts::new();
    drop(Count::new(Discard, &counts));
    assert_eq!(ends(&counts), [0; 5]);
}
