//! The program from outside: its one line, its errors, its end.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

fn chat(port: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
    command
        .env("PORT", port)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a chat, and returns it with its output behind the first line, and its address.
fn listening() -> (Child, BufReader<ChildStdout>, String) {
    let mut child = chat("0").spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line
        .strip_prefix("chat listening on http://")
        .unwrap_or_else(|| panic!("{line:?}"));
    let address = address.trim_end().to_owned();
    (child, output, address)
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
    assert!(said.starts_with("chat: ") && said.contains(what), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_port_that_is_none_ends_it_with_a_word() {
    fails_in_one_line(&chat("http").output().unwrap(), "PORT must be a number");
}

#[test]
fn a_port_in_use_ends_it_with_a_word() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let what = format!("cannot listen on port {port}");
    fails_in_one_line(&chat(&port).output().unwrap(), &what);
}

#[cfg(unix)]
#[test]
fn it_serves_the_page_and_ends_well_when_asked_to() {
    let (mut child, mut output, address) = listening();
    let page = get(&address, "/");
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'self'"),
        "{page}"
    );
    assert!(get(&address, "/nothing").starts_with("HTTP/1.1 404"));
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
