//! Stores without a network, and the division of a file into parts.

use std::{sync::Arc, time::Duration};

use channel_runtime::upload::{CloseReason, ObjectStore, UploadWriter};
use object_store::{
    Attribute, Attributes, ObjectStoreExt, local::LocalFileSystem, memory::InMemory, path::Path,
};
use proptest::prelude::*;
use upload_tests::{Recorder, pattern, until, upload, write};

/// Larger than one part of the writers here.
const SIZE: usize = 300_000;

fn writer(store: Arc<dyn object_store::ObjectStore>) -> ObjectStore {
    ObjectStore::new(store, Path::from("photos/1")).part_size(100_000)
}

async fn read(store: &dyn object_store::ObjectStore) -> Vec<u8> {
    let object = store.get(&Path::from("photos/1")).await.unwrap();
    object.bytes().await.unwrap().into()
}

#[tokio::test]
async fn a_directory_and_memory_take_uploads_too() {
    let directory = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn object_store::ObjectStore>; 2] = [
        Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap()),
        Arc::new(InMemory::new()),
    ];
    for store in stores {
        for size in [0, 1, 100_000, 100_001, SIZE] {
            let object = upload(&mut writer(store.clone()), &pattern(size))
                .await
                .unwrap();
            assert_eq!(object.size, size as u64);
            assert!(
                read(&*store).await == pattern(size),
                "{size} bytes in {store}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_left_in_a_directory_of_an_upload_that_ends_early() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap());
    let photos = directory.path().join("photos");
    let files = || std::fs::read_dir(&photos).unwrap().count();

    let mut cancelled = writer(store.clone());
    write(&mut cancelled, SIZE, &pattern(250_000))
        .await
        .unwrap();
    assert_eq!(files(), 1);
    cancelled.close(CloseReason::Cancel).await.unwrap();
    assert_eq!(files(), 0);

    let mut dropped = writer(store);
    write(&mut dropped, SIZE, &pattern(250_000)).await.unwrap();
    drop(dropped);
    until("nothing is left", || files() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_abort_waits_for_the_parts_that_a_slow_store_is_taking_in() {
    // A part that ends after the abort would stay for ever.
    let store = Recorder::slow(Duration::from_secs(10));
    let mut writer = writer(Arc::new(store.clone()));
    write(&mut writer, SIZE, &pattern(250_000)).await.unwrap();
    writer.close(CloseReason::Cancel).await.unwrap();
    assert_eq!(
        store.events(),
        ["begins", "begins", "ends", "ends", "abort"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_part_waits_for_a_place_as_any_other() {
    let store = Recorder::slow(Duration::from_secs(10));
    upload(&mut writer(Arc::new(store.clone())), &pattern(SIZE + 1))
        .await
        .unwrap();
    let (mut now, mut most) = (0, 0);
    for event in store.events() {
        now += if event == "begins" { 1 } else { -1 };
        most = most.max(now);
    }
    assert_eq!((store.parts().len(), most), (4, 2));
}

#[tokio::test]
async fn a_store_is_told_the_attributes() {
    let attributes = Attributes::from_iter([(Attribute::ContentType, "image/png")]);
    for size in [1, SIZE] {
        let store = Arc::new(InMemory::new());
        let mut writer = writer(store.clone()).attributes(attributes.clone());
        upload(&mut writer, &pattern(size)).await.unwrap();
        let object = store.get(&Path::from("photos/1")).await.unwrap();
        assert_eq!(object.attributes, attributes);
    }
}

proptest! {
    #[test]
    fn parts_are_equal_but_for_the_last_and_no_more_than_10_000(
        size in 0usize..40_000,
        part_size in 1usize..5000,
        in_flight in 0usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let store = Recorder::default();
        let bytes = pattern(size);
        let mut writer = ObjectStore::new(Arc::new(store.clone()), Path::from("photos/1"))
            .part_size(part_size)
            .parts_in_flight(in_flight);
        runtime.block_on(upload(&mut writer, &bytes)).unwrap();
        prop_assert!(runtime.block_on(read(&store)) == bytes);
        let parts = store.parts();
        let expected = part_size.max(size.div_ceil(10_000));
        match parts.split_last() {
            None => prop_assert!(size <= expected),
            Some((last, others)) => {
                prop_assert!(others.len() < 10_000);
                prop_assert!(others.iter().all(|part| *part == expected));
                prop_assert!(*last > 0 && *last <= expected);
            }
        }
    }
}
