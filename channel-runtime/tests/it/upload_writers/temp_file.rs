//! A temporary file, from its first byte to its final place.

use std::{fs, io::ErrorKind, path::Path, slice::from_ref};

use channel_runtime::{
    Bytes,
    upload::{CloseReason, TempFile, UploadWriter, WriterError},
};
use tokio::io::AsyncReadExt;

use crate::upload_writers::support::{entry, files, swept_dir, until, upload};

#[tokio::test]
async fn an_upload_becomes_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = upload(&mut TempFile::in_dir(dir.path()), &[b"one ", b"", b"two"])
        .await
        .unwrap();
    assert_eq!((file.len(), file.is_empty()), (7, false));
    let mut read = String::new();
    file.open()
        .await
        .unwrap()
        .read_to_string(&mut read)
        .await
        .unwrap();
    assert_eq!(read, "one two");
}

#[tokio::test]
async fn an_empty_upload_becomes_an_empty_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = upload(&mut TempFile::in_dir(dir.path()), &[b""])
        .await
        .unwrap();
    assert!(file.is_empty() && fs::read(file.path()).unwrap().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;

    let file = upload(&mut TempFile::new(), &[b"secret"]).await.unwrap();
    assert_eq!(mode(file.path()), 0o600);
    assert_eq!(mode(file.path().parent().unwrap()), 0o700);
}

#[tokio::test]
async fn an_upload_that_is_cancelled_leaves_nothing() {
    let dir = swept_dir();
    let mut writer = TempFile::in_dir(dir.path());
    writer.init(&entry(8)).await.unwrap();
    writer
        .write_chunk(Bytes::from_static(b"half"))
        .await
        .unwrap();
    assert!(!files(dir.path()).is_empty());
    writer.close(CloseReason::Cancel).await.unwrap();
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn an_upload_that_fails_leaves_nothing() {
    let dir = swept_dir();
    let mut writer = TempFile::in_dir(dir.path());
    writer.init(&entry(8)).await.unwrap();
    let error = WriterError::refuse("virus");
    writer.close(CloseReason::Error(&error)).await.unwrap();
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_nothing() {
    let dir = swept_dir();
    let mut writer = TempFile::in_dir(dir.path());
    writer.init(&entry(8)).await.unwrap();
    writer
        .write_chunk(Bytes::from_static(b"half"))
        .await
        .unwrap();
    drop(writer);
    until("nothing is left", || files(dir.path()).is_empty()).await;
}

#[tokio::test]
async fn a_write_that_is_dropped_leaves_nothing() {
    let dir = swept_dir();
    let mut writer = TempFile::in_dir(dir.path());
    writer.init(&entry(8)).await.unwrap();
    let write = writer.write_chunk(Bytes::from_static(b"half"));
    tokio::select! { biased; _ = write => {} () = std::future::ready(()) => {} }
    drop(writer);
    until("nothing is left", || files(dir.path()).is_empty()).await;
}

#[test]
fn a_runtime_that_ends_leaves_nothing() {
    let dir = swept_dir();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let file = runtime.block_on(async {
        let mut unfinished = TempFile::in_dir(dir.path());
        unfinished.init(&entry(8)).await.unwrap();
        tokio::spawn(async move {
            let _unfinished = unfinished;
            std::future::pending::<()>().await;
        });
        upload(&mut TempFile::in_dir(dir.path()), &[b"done"])
            .await
            .unwrap()
    });
    drop(runtime);
    assert!(file.path().exists());
    drop(file);
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn the_file_is_removed_with_its_last_handle() {
    let dir = swept_dir();
    let mut writer = TempFile::in_dir(dir.path());
    let first = upload(&mut writer, &[b"bytes"]).await.unwrap();
    let (again, path) = (writer.meta(), first.path().to_owned());
    drop((writer, first));
    assert!(again.open().await.is_ok(), "a handle is left");
    drop(again);
    until("the file is removed", || !path.exists()).await;
    until("its directory too", || files(dir.path()).is_empty()).await;
}

#[tokio::test]
async fn what_is_persisted_stays_and_every_handle_knows_where() {
    let (dir, photos) = (swept_dir(), tempfile::tempdir().unwrap());
    let place = photos.path().join("1.png");
    let mut writer = TempFile::in_dir(dir.path());
    let file = upload(&mut writer, &[b"bytes"]).await.unwrap();
    let other = file.clone();
    file.persist(&place).await.unwrap();
    assert_eq!((file.path(), other.path()), (&*place, &*place));
    assert_eq!(
        other
            .persist(photos.path().join("2"))
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    drop((writer, file, other));
    until("nothing temporary is left", || files(dir.path()).is_empty()).await;
    assert_eq!(files(photos.path()), from_ref(&place));
    assert_eq!(fs::read(place).unwrap(), b"bytes");
}

#[tokio::test]
async fn a_file_that_exists_is_replaced_only_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("1.png");
    fs::write(&place, "old").unwrap();
    let file = upload(&mut TempFile::in_dir(dir.path()), &[b"new"])
        .await
        .unwrap();

    let refused = file.persist(&place).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&place).unwrap(), b"old");
    assert_eq!(fs::read(file.path()).unwrap(), b"new", "it is still there");

    file.persist_replacing(&place).await.unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"new");
}

#[tokio::test]
async fn a_place_without_a_directory_is_an_error_that_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = upload(&mut TempFile::in_dir(dir.path()), &[b"bytes"])
        .await
        .unwrap();
    let error = file
        .persist(dir.path().join("missing/1.png"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(fs::read(file.path()).unwrap(), b"bytes");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn persisting_crosses_file_systems() {
    use std::os::unix::fs::MetadataExt;
    let (dir, shm) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir_in("/dev/shm").unwrap(),
    );
    let device = |dir: &tempfile::TempDir| fs::metadata(dir.path()).unwrap().dev();
    assert_ne!(
        device(&dir),
        device(&shm),
        "TMPDIR has to be another file system than /dev/shm"
    );

    let place = shm.path().join("1.png");
    let file = upload(&mut TempFile::in_dir(dir.path()), &[b"bytes"])
        .await
        .unwrap();
    let temporary = file.path().to_owned();
    file.persist(&place).await.unwrap();
    assert!(!temporary.exists());
    assert_eq!(files(shm.path()), from_ref(&place), "nothing else");
    assert_eq!(fs::read(&place).unwrap(), b"bytes");
    assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o600);

    let second = upload(&mut TempFile::in_dir(dir.path()), &[b"new"])
        .await
        .unwrap();
    assert_eq!(
        second.persist(&place).await.unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(files(shm.path()), from_ref(&place));
    second.persist_replacing(&place).await.unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"new");
}

#[tokio::test]
async fn a_file_that_waits_for_its_client_has_no_descriptor_and_goes_on_where_it_was() {
    let dir = swept_dir();
    let open = || {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        let links = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
        links
            .filter(|path| path.starts_with(dir.path()) && !path.ends_with("lock"))
            .count()
    };
    let mut writer = TempFile::in_dir(dir.path());
    writer.init(&entry(8)).await.unwrap();
    writer
        .write_chunk(Bytes::from_static(b"half"))
        .await
        .unwrap();
    assert_eq!(open(), 1);
    writer.pause().await.unwrap();
    assert_eq!(open(), 0);
    writer.resume().await.unwrap();
    assert_eq!(open(), 1);
    writer
        .write_chunk(Bytes::from_static(b"done"))
        .await
        .unwrap();
    writer.close(CloseReason::Done).await.unwrap();
    assert_eq!(fs::read(writer.meta().path()).unwrap(), b"halfdone");

    let mut given_up = TempFile::in_dir(dir.path());
    given_up.init(&entry(8)).await.unwrap();
    given_up.pause().await.unwrap();
    given_up.close(CloseReason::Cancel).await.unwrap();
    drop((writer, given_up));
    until("nothing is left", || files(dir.path()).is_empty()).await;
}

#[tokio::test]
async fn a_file_that_was_changed_while_it_waited_is_not_gone_on_with() {
    let dir = swept_dir();
    let mut writer = TempFile::in_dir(dir.path());
    writer.init(&entry(8)).await.unwrap();
    writer
        .write_chunk(Bytes::from_static(b"half"))
        .await
        .unwrap();
    writer.pause().await.unwrap();
    let written = files(dir.path());
    let written = written
        .iter()
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes == b"half"));
    fs::write(written.unwrap(), b"le").unwrap();
    assert!(writer.resume().await.is_err());
    drop(writer);
    until("nothing is left", || files(dir.path()).is_empty()).await;
}
