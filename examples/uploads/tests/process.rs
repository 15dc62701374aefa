//! The program from outside: its one line, its errors, its end.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use tempfile::{NamedTempFile, TempDir};

fn uploads(port: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uploads"));
    command
        .env("PORT", port)
        .env("UPLOADS_DIR", folder)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A server that listens, its output behind the first line, and its address.
fn listening(folder: &Path) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = uploads("0", folder).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line
        .strip_prefix("uploads listening on http://")
        .unwrap_or_else(|| panic!("{line:?}"));
    let (address, rest) = address.split_once(' ').unwrap();
    assert_eq!(rest, format!("with files in {}\n", folder.display()));
    (child, output, address.to_owned())
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn fails_in_one_line(
    Output {
        status,
        stdout,
        stderr,
    }: &Output,
    what: &str,
) {
    let said = String::from_utf8_lossy(stderr);
    assert!(!status.success());
    assert!(stdout.is_empty());
    assert!(
        said.starts_with("uploads: ") && said.contains(what),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_port_that_is_none_ends_it_with_a_word() {
    let folder = TempDir::new().unwrap();
    let output = uploads("http", folder.path()).output().unwrap();
    fails_in_one_line(&output, "PORT must be a number");
}

#[test]
fn a_folder_that_cannot_be_ends_it_with_a_word() {
    let file = NamedTempFile::new().unwrap();
    for folder in [file.path(), &file.path().join("inside")] {
        let what = format!("cannot store files in {}", folder.display());
        fails_in_one_line(&uploads("0", folder).output().unwrap(), &what);
    }
}

#[cfg(unix)]
#[test]
fn it_serves_the_page_and_ends_well_when_asked_to() {
    let folder = TempDir::new().unwrap();
    let (mut child, mut output, address) = listening(folder.path());
    let page = get(&address, "/");
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'self'"),
        "{page}"
    );
    std::fs::write(folder.path().join("secret.txt"), "not an upload").unwrap();
    for path in ["/nothing", "/files/secret.txt", "/files/..%2fsecret.txt"] {
        assert!(get(&address, path).starts_with("HTTP/1.1 404"), "{path}");
    }
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
