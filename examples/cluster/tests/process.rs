//! The program from outside: two addresses, two pages, a graceful end.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

fn cluster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
    command
        .env("PORT", "0")
        .env_remove("PUBSUB_URL")
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn terminate(child: &Child) {
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
}

#[test]
fn one_command_starts_two_nodes_and_ends_them() {
    let mut child = cluster().spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for name in ["a", "b"] {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix(&format!("node {name}: http://"));
        let address = address.unwrap_or_else(|| panic!("{line:?}")).trim_end();
        assert!(get(address, "/").starts_with("HTTP/1.1 200 OK"));
        let health = get(address, "/health");
        assert!(health.contains("Up") && health.contains(&format!("node: \"{name}\"")));
    }
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn asked_to_stop_while_it_starts_it_ends_in_order() {
    let mut child = cluster().spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("node a: "), "{line:?}");
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_engine_that_is_not_there_is_one_line() {
    let mut command = cluster();
    command.env("PUBSUB_URL", "redis://127.0.0.1:1");
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("cluster: cannot connect to Redis at 127.0.0.1:1: "),
        "{said}"
    );
}

#[test]
fn a_node_without_the_shared_secret_says_so() {
    let mut command = cluster();
    command.args(["node", "a", "redis://127.0.0.1:1"]);
    let output = command.env_remove("SECRET_KEY").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("cluster: a node needs SECRET_KEY"),
        "{said}"
    );
}

#[test]
fn without_redis_it_says_what_to_install() {
    let output = cluster().env("PATH", "/nowhere").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("apt-get install redis-server"), "{said}");
}
