//! The start and the end of the server's process.

use std::process::Stdio;

use tokio::net::TcpListener;

use crate::server::{Server, command};

/// Runs a server that cannot start, and returns its output on stderr.
async fn complaint(port: &str) -> String {
    let output = command(port)
        .stderr(Stdio::piped())
        .output()
        .await
        .expect("the server runs");
    assert!(!output.status.success(), "PORT={port} works");
    assert!(output.stdout.is_empty(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

#[tokio::test]
async fn a_port_that_is_no_port_is_named() {
    for port in ["http", "70000", "-1", ""] {
        let said = complaint(port).await;
        assert!(
            said.contains("PORT") && said.contains(&format!("{port:?}")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = complaint(&port).await;
    assert!(said.contains(&port) && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn sigterm_and_ctrl_c_end_it_well() {
    for signal in ["TERM", "INT"] {
        let server = Server::start().await.unwrap();
        server.signal(signal).await.unwrap();
        let exit = server.exit().await.unwrap();
        assert!(exit.success(), "SIG{signal}: {exit}");
    }
}
