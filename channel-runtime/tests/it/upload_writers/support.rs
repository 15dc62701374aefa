//! An upload without a client, and other processes.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use channel_runtime::{
    Bytes,
    upload::{CloseReason, TempFile, UploadEntry, UploadWriter, WriterError},
};
use tempfile::TempDir;
use tokio::runtime::Builder;

pub(crate) fn entry(size: usize) -> UploadEntry {
    UploadEntry::example("photo.png", size as u64, "image/png")
}

/// Writes `chunks` as the upload's task does, and stops at the first error.
pub(crate) async fn upload<W: UploadWriter>(
    writer: &mut W,
    chunks: &[&[u8]],
) -> Result<W::Meta, WriterError> {
    writer.init(&entry(chunks.concat().len())).await?;
    for chunk in chunks {
        if let Err(error) = writer.write_chunk(Bytes::copy_from_slice(chunk)).await {
            let _ = writer.close(CloseReason::Error(&error)).await;
            return Err(error);
        }
    }
    writer.close(CloseReason::Done).await?;
    Ok(writer.meta())
}

/// Returns all files under `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        found.extend(files(&path));
        found.push(path);
    }
    found
}

/// Creates a directory that this process has swept.
pub(crate) fn swept_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    have_swept(dir.path());
    dir
}

/// Uploads for the first time, which sweeps, and waits for the sweep: a late one would meet the
/// files of the test.
pub(crate) fn have_swept(dir: &Path) {
    let dir = dir.to_owned();
    let first = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let file = runtime.block_on(upload(&mut TempFile::in_dir(dir), &[b"first"]));
        // Dropping it waits for the work of other threads, and lets them begin nothing more.
        drop(runtime);
        drop(file.unwrap());
    });
    first.join().unwrap();
}

/// Waits for a removal, which happens in another thread.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still not so: {what}");
}

/// Returns an ignored test of this program as a command, to run in a separate process.
pub(crate) fn in_a_process(mut launcher: Command, test: &str) -> Command {
    launcher.args([test, "--exact", "--ignored", "--nocapture"]);
    launcher
}

pub(crate) fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}
