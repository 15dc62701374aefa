//! No space left: on a real file system of 64 KiB, if one can be mounted.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    process::Command,
};

use channel_runtime::upload::{TempFile, WriterError};

use crate::upload_writers::support::{files, have_swept, in_a_process, this_program, upload};

const DISK: &str = "UPLOADS_SMALL_DISK";

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_no_space() {
    let disk = tempfile::tempdir().unwrap();
    let mut launcher = Command::new("unshare");
    // A separate mount namespace, so that the mount ends with the process.
    launcher
        .args(["--mount", "--map-root-user"])
        .arg("sh")
        .arg("-c");
    launcher.arg(format!(
        "mount -t tmpfs -o size=64k tmpfs {} || exit 77; exec \"$0\" \"$@\"",
        disk.path().display()
    ));
    launcher.arg(this_program());
    let mut on_it = in_a_process(
        launcher,
        "upload_writers::full_disk::an_upload_to_a_small_disk",
    );
    let ran = on_it.env(DISK, disk.path()).output();
    match ran {
        Ok(output) if output.status.success() => {}
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}", String::from_utf8_lossy(&output.stderr))
        }
        not_mounted => {
            let why =
                not_mounted.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
            eprintln!("no file system can be mounted here ({why:?}); /dev/full instead");
            let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let error = full.write_all(b"bytes").unwrap_err();
            assert_eq!(WriterError::from(error).reason(), "no_space");
        }
    }
}

#[tokio::test]
#[ignore = "run by the other test, on a file system of its own"]
async fn an_upload_to_a_small_disk() {
    let disk = std::env::var_os(DISK).expect("run by another test");
    let disk = Path::new(&disk);
    have_swept(disk);
    let chunk: &[u8] = &[7; 16_000];
    let error = upload(&mut TempFile::in_dir(disk), &[chunk; 8])
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "no_space");
    assert!(files(disk).is_empty(), "what was written is removed");

    let small = upload(&mut TempFile::in_dir(disk), &[chunk]).await.unwrap();
    assert_eq!(
        fs::read(small.path()).unwrap(),
        chunk,
        "and there is space again"
    );
}
