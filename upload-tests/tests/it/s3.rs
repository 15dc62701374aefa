//! Uploads to S3: complete ones arrive, and others leave nothing behind.

use std::sync::Arc;

use bytes::Bytes;
use channel_runtime::upload::{CloseReason, ObjectStore, UploadWriter};
use object_store::{ObjectStoreExt, aws::AmazonS3, path::Path};
use upload_tests::{Fault, Matches, Request, Server, entry, pattern, store, until, upload, write};

const MIB: usize = 1024 * 1024;
const PART: usize = 5 * MIB;

fn location() -> Path {
    Path::from("photo")
}

fn writer(store: &Arc<AmazonS3>) -> ObjectStore {
    ObjectStore::new(store.clone(), location())
}

fn is_empty(server: &Server) -> bool {
    server.objects().is_empty() && server.remains().is_empty()
}

#[tokio::test]
async fn an_object_holds_exactly_what_was_written() {
    for (size, parts) in [
        (0, vec![]),
        (1, vec![]),
        (PART, vec![]),
        (PART + 1, vec![PART, 1]),
        (12 * MIB, vec![PART, PART, 2 * MIB]),
    ] {
        let server = Server::start().await;
        let store = store(server.address());
        let bytes = pattern(size);
        let object = upload(&mut writer(&store), &bytes).await.unwrap();
        assert_eq!((object.size, &object.location), (size as u64, &location()));
        assert!(object.e_tag.is_some());
        let read = store.get(&location()).await.unwrap().bytes().await.unwrap();
        assert!(read == bytes, "{size} bytes");

        let requests = server.requests();
        let mut sent: Vec<_> = requests
            .iter()
            .filter_map(|r| Some((r.part()?, r.length)))
            .collect();
        sent.sort_unstable();
        let lengths: Vec<_> = sent.into_iter().map(|(_, length)| length).collect();
        assert_eq!(lengths, parts, "{size} bytes");
        assert_eq!(
            requests.iter().filter(|r| r.puts()).count(),
            usize::from(parts.is_empty())
        );
        assert!(server.remains().is_empty(), "{:?}", server.remains());
    }
}

#[tokio::test]
async fn an_upload_that_is_cancelled_leaves_nothing() {
    let server = Server::start().await;
    let store = store(server.address());
    for written in [0, 1000, PART, PART + 1, 11 * MIB] {
        let mut writer = writer(&store);
        write(&mut writer, 20 * MIB, &pattern(written))
            .await
            .unwrap();
        writer.close(CloseReason::Cancel).await.unwrap();
        assert!(
            is_empty(&server),
            "after {written} bytes: {:?}",
            server.remains()
        );
    }
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_nothing() {
    let server = Server::start().await;
    let store = store(server.address());
    let mut writer = writer(&store);
    write(&mut writer, 20 * MIB, &pattern(11 * MIB))
        .await
        .unwrap();
    assert!(server.requests().iter().any(Request::begins));
    drop(writer);
    until("nothing is left", || is_empty(&server)).await;
}

#[tokio::test]
async fn a_part_that_fails_ends_the_upload_and_leaves_nothing() {
    let server = Server::start().await;
    let store = store(server.address());
    server.fault(|request| request.part() == Some(2), Fault::Refuse);
    let error = upload(&mut writer(&store), &pattern(16 * MIB))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "writer_failure");
    assert!(is_empty(&server), "{:?}", server.remains());
}

#[tokio::test]
async fn a_last_part_that_fails_ends_the_upload_and_leaves_nothing() {
    let server = Server::start().await;
    let store = store(server.address());
    server.fault(|request| request.part() == Some(2), Fault::Refuse);
    assert!(
        upload(&mut writer(&store), &pattern(PART + 1))
            .await
            .is_err()
    );
    assert!(is_empty(&server), "{:?}", server.remains());
}

#[tokio::test]
async fn a_completion_that_fails_ends_the_upload_and_leaves_nothing() {
    let server = Server::start().await;
    let store = store(server.address());
    server.fault(Request::completes, Fault::Refuse);
    assert!(
        upload(&mut writer(&store), &pattern(6 * MIB))
            .await
            .is_err()
    );
    assert!(is_empty(&server), "{:?}", server.remains());
}

#[tokio::test]
async fn a_store_that_refuses_ends_the_upload() {
    let server = Server::start().await;
    let store = store(server.address());
    server.fault(|_| true, Fault::Refuse);
    for size in [10, 6 * MIB] {
        assert!(upload(&mut writer(&store), &pattern(size)).await.is_err());
    }
    assert!(is_empty(&server));
}

/// Drops the upload when the server holds a request, and releases the request then.
async fn dropped_at(matches: Matches, fault: Fault, size: usize) -> Server {
    let server = Server::start().await;
    let store = store(server.address());
    server.fault(matches, fault);
    let mut writer = writer(&store);
    let bytes = pattern(size);
    tokio::select! {
        _ = upload(&mut writer, &bytes) => panic!("not held"),
        () = server.holds(1) => {}
    }
    drop(writer);
    server.release();
    server
}

#[tokio::test]
async fn an_upload_that_is_dropped_at_any_request_leaves_nothing() {
    let brings_a_part = |request: &Request| request.part().is_some();
    for fault in [Fault::Hold, Fault::HoldAnswer] {
        for (at, size) in [
            (Request::begins as Matches, 6 * MIB),
            (brings_a_part, 20 * MIB),
            (Request::completes, 6 * MIB),
            (Request::puts, 1000),
        ] {
            let server = dropped_at(at, fault, size).await;
            until("it is given up", || {
                server.requests().iter().any(Request::gives_up)
            })
            .await;
            until("nothing is left", || is_empty(&server)).await;
        }
    }
}

#[tokio::test]
async fn an_object_that_no_handler_took_goes_with_its_writer() {
    let server = Server::start().await;
    let store = store(server.address());
    for size in [1000, 6 * MIB] {
        let mut writer = writer(&store);
        write(&mut writer, size, &pattern(size)).await.unwrap();
        writer.close(CloseReason::Done).await.unwrap();
        assert_eq!(server.objects().len(), 1);
        drop(writer);
        until("the object is deleted", || is_empty(&server)).await;
    }
}

#[tokio::test]
async fn an_object_that_a_handler_took_stays() {
    let server = Server::start().await;
    let store = store(server.address());
    let mut writer = writer(&store);
    upload(&mut writer, b"bytes").await.unwrap();
    let requests = server.requests().len();
    drop(writer);
    tokio::task::yield_now().await;
    store.head(&location()).await.unwrap();
    assert_eq!(
        server.requests().len(),
        requests + 1,
        "and nothing else was asked"
    );
}

#[tokio::test]
async fn a_client_waits_where_enough_parts_are_on_their_way() {
    let server = Server::start().await;
    let store = store(server.address());
    server.fault(|request| request.part().is_some(), Fault::Hold);
    let mut writer = writer(&store);
    writer.init(&entry(40 * MIB)).await.unwrap();
    let chunk = Bytes::from(pattern(PART));
    for _ in 0..3 {
        writer.write_chunk(chunk.clone()).await.unwrap();
    }
    server.holds(2).await;
    {
        let one_too_many = writer.write_chunk(chunk.slice(..1));
        tokio::pin!(one_too_many);
        tokio::select! {
            biased;
            _ = &mut one_too_many => panic!("it has a part to fill, two on their way, and takes more"),
            () = std::future::ready(()) => {}
        }
        server.release();
        one_too_many.await.unwrap();
    }
    writer.close(CloseReason::Done).await.unwrap();
    assert_eq!(writer.meta().size, 3 * PART as u64 + 1);
    assert!(server.most_parts() <= 2);
}
