//! The remains of a killed process, and their removal.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use channel_runtime::{
    Bytes,
    upload::{TempFile, UploadWriter},
};

use crate::upload_writers::support::{
    entry, files, have_swept, in_a_process, swept_dir, this_program, until, upload,
};

const DIR: &str = "UPLOADS_DIR";

/// A process in mid-upload, and its file.
struct Uploading {
    process: Child,
    file: PathBuf,
}

impl Uploading {
    fn start(dir: &Path) -> Self {
        let mut command = in_a_process(
            Command::new(this_program()),
            "upload_writers::sweep::a_process_in_mid_upload",
        );
        let mut process = command
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let file = lines
            .map(Result::unwrap)
            .find_map(|line| line.split_once("writes to ").map(|(_, file)| file.into()))
            .expect("the process says where it writes to");
        Uploading { process, file }
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "run by the other tests, in a process of its own"]
async fn a_process_in_mid_upload() {
    let dir = PathBuf::from(std::env::var_os(DIR).expect("run by another test"));
    have_swept(&dir);
    let mut writer = TempFile::in_dir(&dir);
    writer.init(&entry(10)).await.unwrap();
    writer
        .write_chunk(Bytes::from_static(b"half"))
        .await
        .unwrap();
    let mine = format!("-{}-", std::process::id());
    let is_mine = |path: &PathBuf| {
        path.is_file() && !path.ends_with("lock") && path.to_string_lossy().contains(&mine)
    };
    let file = files(&dir).into_iter().find(is_mine).unwrap();
    println!("writes to {}", file.display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_sweep_removes_the_files_of_the_dead_and_no_others() {
    let dir = swept_dir();
    fs::write(dir.path().join("channel-uploads-is-a-file"), "of the user").unwrap();
    fs::create_dir(dir.path().join("photos")).unwrap();
    let ours = upload(&mut TempFile::in_dir(dir.path()), &[b"done"])
        .await
        .unwrap();
    let (mut dead, alive) = (Uploading::start(dir.path()), Uploading::start(dir.path()));
    dead.kill();
    assert!(dead.file.exists() && alive.file.exists());

    assert_eq!(TempFile::sweep(dir.path()).await.unwrap(), 1);
    assert!(!dead.file.parent().unwrap().exists());
    assert!(alive.file.exists() && ours.path().exists());
    assert!(dir.path().join("channel-uploads-is-a-file").exists());
    assert!(dir.path().join("photos").exists());
    assert_eq!(
        TempFile::sweep(dir.path()).await.unwrap(),
        0,
        "nothing is left to remove"
    );
}

#[tokio::test]
async fn a_process_id_that_is_used_again_does_not_save_the_files_of_the_dead() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = Uploading::start(dir.path());
    dead.kill();
    // As if this process had its number.
    let (pid, ours) = (dead.process.id(), std::process::id());
    let old = dead.file.parent().unwrap();
    let name = old.file_name().unwrap().to_str().unwrap();
    let new = dir
        .path()
        .join(name.replace(&format!("-{pid}-"), &format!("-{ours}-")));
    fs::rename(old, &new).unwrap();

    assert_eq!(TempFile::sweep(dir.path()).await.unwrap(), 1);
    assert!(!new.exists());
}

#[tokio::test]
async fn the_first_upload_sweeps() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = Uploading::start(dir.path());
    dead.kill();
    let ours = upload(&mut TempFile::in_dir(dir.path()), &[b"done"])
        .await
        .unwrap();
    until("the dead process's file is removed", || !dead.file.exists()).await;
    assert!(ours.path().exists());
}

#[tokio::test]
async fn what_an_interrupted_sweep_has_left_is_removed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("channel-uploads-1-abc");
    fs::create_dir(&empty).unwrap();
    TempFile::sweep(dir.path()).await.unwrap();
    assert!(!empty.exists());
}

#[tokio::test]
async fn a_directory_that_is_missing_has_nothing_to_sweep() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        TempFile::sweep(dir.path().join("missing")).await.unwrap(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_begin_while_others_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let sweeping = dir.path().to_owned();
    let sweeper = tokio::spawn(async move {
        for _ in 0..300 {
            TempFile::sweep(&sweeping).await.unwrap();
        }
    });
    for _ in 0..300 {
        let file = upload(&mut TempFile::in_dir(dir.path()), &[b"bytes"])
            .await
            .unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"bytes");
    }
    sweeper.await.unwrap();
}
