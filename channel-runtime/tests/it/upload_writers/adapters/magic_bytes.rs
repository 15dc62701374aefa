//! The type of a file, by its first bytes.

use channel_runtime::{
    Bytes,
    upload::{MagicBytes, UploadEntry, UploadWriter},
};

use super::Kept;
use crate::upload_writers::support::{entry, upload};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
const PDF: &[u8] = b"%PDF-1.7 and so on";

#[tokio::test]
async fn a_file_passes_by_its_type_or_its_family() {
    for accepted in [
        &["image/png"][..],
        &["image/*"],
        &["video/*", "application/pdf", "image/*"],
    ] {
        let mut writer = MagicBytes::new(Kept::default(), accepted);
        let passed = upload(&mut writer, &[PNG]).await.unwrap();
        assert_eq!(
            (passed.content_type, passed.inner.as_slice()),
            ("image/png", PNG)
        );
    }
}

#[tokio::test]
async fn of_a_file_of_another_type_the_writer_inside_gets_no_byte() {
    let script = b"#!/bin/sh\nrm -rf /";
    for refused in [PDF, script, b"plain text", b"image/png", b""] {
        for chunks in [
            &[refused][..],
            &[&refused[..refused.len() / 2], &refused[refused.len() / 2..]],
        ] {
            let kept = Kept::default();
            let mut writer = MagicBytes::new(kept.clone(), &["image/*"]);
            let error = upload(&mut writer, chunks).await.unwrap_err();
            assert_eq!(error.reason(), "not_accepted_content");
            assert_eq!(
                (kept.chunks(), kept.closed().unwrap()),
                (0, "not_accepted_content".into())
            );
        }
    }
}

#[tokio::test]
async fn a_type_that_shows_late_is_found_in_whatever_pieces_it_comes() {
    // A tar file has its mark behind its first 257 bytes.
    let mut tar = vec![0; 20_000];
    tar[..5].copy_from_slice(b"a.txt");
    tar[257..262].copy_from_slice(b"ustar");
    for size in [1, 100, 8191, 8192, 8193, 20_000] {
        let kept = Kept::default();
        let mut writer = MagicBytes::new(kept.clone(), &["application/x-tar"]);
        let chunks: Vec<&[u8]> = tar.chunks(size).collect();
        let passed = upload(&mut writer, &chunks).await.unwrap();
        assert_eq!(passed.content_type, "application/x-tar");
        assert_eq!(kept.bytes(), tar, "in pieces of {size}");
    }
}

#[tokio::test]
async fn nothing_passes_before_the_start_is_here() {
    let kept = Kept::default();
    let mut writer = MagicBytes::new(kept.clone(), &["image/png"]);
    writer.init(&entry(20_000)).await.unwrap();
    writer.write_chunk(Bytes::from_static(PNG)).await.unwrap();
    assert_eq!(kept.chunks(), 0);
    writer
        .write_chunk(Bytes::from(vec![0; 8192 - PNG.len()]))
        .await
        .unwrap();
    assert_eq!((kept.chunks(), kept.bytes().len()), (1, 8192));
    writer
        .write_chunk(Bytes::from_static(b"more"))
        .await
        .unwrap();
    assert_eq!(kept.chunks(), 2, "the rest passes as it comes");
}

#[tokio::test]
async fn what_the_client_says_does_not_count() {
    let mut writer = MagicBytes::new(Kept::default(), &["image/*"]);
    let liar = UploadEntry::example("photo.png", PDF.len() as u64, "image/png");
    writer.init(&liar).await.unwrap();
    assert!(writer.write_chunk(Bytes::from_static(PDF)).await.is_err());
}
