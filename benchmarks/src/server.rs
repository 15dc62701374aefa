//! The servers: how to start each, its protocol and its abilities.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    process::{Cpu, Process},
    protocol::Protocol,
};

/// The program of a server.
enum Program {
    /// A binary beside the load generator, with a variable in its environment.
    Binary(&'static str, Option<(&'static str, &'static str)>),
    /// A file of `peers/node`.
    Node(&'static str),
}

/// A server that can be measured.
pub struct Kind {
    /// The name of the server.
    pub name: &'static str,
    program: Program,
    /// The protocol of the server.
    pub protocol: Protocol,
    /// True if it tells topics apart. Others treat all clients as subscribers of one topic.
    pub topics: bool,
}

use Program::{Binary, Node};
use Protocol::{Phoenix, PhoenixV1, SocketIo};

/// All servers, the limit first.
pub const KINDS: &[Kind] = &[
    kind("floor", Binary("floor", None), Phoenix, true),
    kind(
        "floor-coalescing",
        Binary("floor", Some(("COALESCE", "1"))),
        Phoenix,
        false,
    ),
    kind("ours", Binary("ours", None), Phoenix, true),
    kind(
        "by-hand",
        Binary("by_hand", Some(("BUFFERS", "1024"))),
        Phoenix,
        false,
    ),
    kind("by-hand-default", Binary("by_hand", None), Phoenix, false),
    kind("socketioxide", Binary("socketioxide", None), SocketIo, true),
    // It speaks version 1, whatever the client asks for.
    kind(
        "trillium-channels",
        Binary("trillium", None),
        PhoenixV1,
        true,
    ),
    kind("socket.io", Node("socket-io.mjs"), SocketIo, true),
    kind("ws", Node("ws.mjs"), Phoenix, true),
];

const fn kind(name: &'static str, program: Program, protocol: Protocol, topics: bool) -> Kind {
    Kind {
        name,
        program,
        protocol,
        topics,
    }
}

/// Finds a server by its name.
pub fn named(name: &str) -> Result<&'static Kind> {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        bail!(
            "no server is called {name:?}; there are {}",
            names.join(", ")
        );
    };
    Ok(kind)
}

/// A running server: one of ours, started for the measurement, or an external one at a URL.
pub struct Server {
    process: Option<Process>,
    /// Its host and port.
    pub addr: String,
    /// The path of its handshake.
    pub path: String,
    /// The protocol of the server.
    pub protocol: Protocol,
}

impl Server {
    /// Starts a server.
    pub fn start(kind: &Kind) -> Result<Self> {
        let mut process = Process::start(command(&kind.program)?)?;
        process.ends_by_itself = profiled();
        Ok(Server {
            addr: process.addr.clone(),
            process: Some(process),
            path: kind.protocol.path().to_owned(),
            protocol: kind.protocol,
        })
    }

    /// Returns a Phoenix that runs already, at a URL such as
    /// `ws://127.0.0.1:4000/socket/websocket`.
    pub fn at(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("ws://").with_context(|| {
            format!("{url:?} is no URL of a WebSocket without TLS, such as ws://127.0.0.1:4000")
        })?;
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) if !path.is_empty() => (host, format!("/{path}")),
            Some((host, _)) => (host, "/socket/websocket".to_owned()),
            None => (rest, "/socket/websocket".to_owned()),
        };
        let addr = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let path = match path.contains("vsn=") {
            true => path,
            false => format!(
                "{path}{}vsn=2.0.0",
                if path.contains('?') { '&' } else { '?' }
            ),
        };
        Ok(Server {
            process: None,
            addr,
            path,
            protocol: Phoenix,
        })
    }

    /// Returns the CPU time so far; `None` for a server that was not started here.
    pub fn cpu(&self) -> Result<Option<Cpu>> {
        self.process.as_ref().map(Process::cpu).transpose()
    }

    /// Returns its resident memory in KiB; `None` for a server that was not started here.
    pub fn memory(&self) -> Result<Option<f64>> {
        self.process.as_ref().map(Process::memory).transpose()
    }
}

/// Returns true if `MASSIF=1` asks for a memory profile: valgrind writes `massif.out`.
fn profiled() -> bool {
    std::env::var_os("MASSIF").is_some()
}

fn command(program: &Program) -> Result<Command> {
    match program {
        Binary(name, variable) => {
            let here = std::env::current_exe()?;
            let binary = here.with_file_name(name);
            let mut command = match profiled() {
                true => {
                    let mut valgrind = Command::new("valgrind");
                    valgrind.args(["--tool=massif", "--massif-out-file=massif.out"]);
                    valgrind.args(["--detailed-freq=1".as_ref(), binary.as_os_str()]);
                    valgrind
                }
                false => Command::new(binary),
            };
            command.envs(*variable);
            Ok(command)
        }
        Node(file) => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/node");
            if !folder.join("node_modules").is_dir() {
                bail!(
                    "its packages are not installed: `npm ci` in {}",
                    folder.display()
                );
            }
            let mut command = Command::new("node");
            command.arg(folder.join(file)).env("NODE_ENV", "production");
            Ok(command)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gets_what_it_leaves_out() {
        for (url, addr, path) in [
            ("ws://a:4000", "a:4000", "/socket/websocket?vsn=2.0.0"),
            ("ws://a/", "a:80", "/socket/websocket?vsn=2.0.0"),
            (
                "ws://a/s/websocket?t=1",
                "a:80",
                "/s/websocket?t=1&vsn=2.0.0",
            ),
            ("ws://a/s?vsn=2.0.0", "a:80", "/s?vsn=2.0.0"),
        ] {
            let server = Server::at(url).unwrap();
            assert_eq!((server.addr.as_str(), server.path.as_str()), (addr, path));
        }
        assert!(Server::at("http://a").is_err());
    }

    #[test]
    fn a_server_that_is_none_is_answered_with_those_there_are() {
        let error = named("phoenix").err().unwrap().to_string();
        assert!(error.contains("floor, floor-coalescing, ours"), "{error}");
    }
}
