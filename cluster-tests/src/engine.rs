//! The engines: Debian's own servers, on free ports, in temporary directories.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{pause, port::Port, signal};

/// The kind of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `redis-server`
    Redis,
    /// `nats-server`
    Nats,
}

/// A running server. It ends on drop.
pub struct Engine {
    /// The kind of the server.
    pub kind: Kind,
    port: Port,
    child: Child,
    directory: TempDir,
}

impl Engine {
    /// Starts a server. `extra` is added to its configuration file, with its port for `$PORT`.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed, or does not start.
    pub fn start(kind: Kind, extra: &str) -> Self {
        Engine::start_at(kind, Ipv4Addr::LOCALHOST, extra)
    }

    /// Does the same as [`Engine::start`], and also listens on this address of the machine.
    ///
    /// # Panics
    ///
    /// Panics like [`Engine::start`].
    pub fn start_at(kind: Kind, address: Ipv4Addr, extra: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = Port::hold();
        let extra = extra.replace("$PORT", &port.number().to_string());
        let text = config(kind, address, port.number(), &directory, &extra);
        std::fs::write(directory.path().join("server.conf"), text).unwrap();
        let child = launch(kind, &directory);
        Engine {
            kind,
            port,
            child: child.unwrap_or_else(|said| panic!("{kind:?} with {extra:?}: {said}")),
            directory,
        }
    }

    /// Returns its port, which stays its own even while it is dead.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Returns its URL, without credentials.
    pub fn url(&self) -> String {
        self.url_at(self.port())
    }

    /// Returns its URL with another port.
    pub fn url_at(&self, port: u16) -> String {
        self.url_of((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Returns its URL with another address.
    pub fn url_of(&self, address: SocketAddr) -> String {
        match self.kind {
            Kind::Redis => format!("redis://{address}"),
            Kind::Nats => format!("nats://{address}"),
        }
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port.
    pub fn restart(&mut self) {
        self.child = launch(self.kind, &self.directory).expect("the server starts again");
    }

    /// Pauses it. When this returns, none of its threads runs any more.
    pub fn pause(&self) {
        pause(&self.child);
    }

    /// Resumes it.
    pub fn resume(&self) {
        signal(&self.child, Signal::CONT);
    }

    /// Publishes bytes as an outsider that only knows the engine's protocol. Returns true if the
    /// channel has subscribers.
    pub fn publish(&self, channel: &str, body: &[u8]) -> bool {
        let mut stream = TcpStream::connect(self.port.address()).unwrap();
        match self.kind {
            Kind::Redis => {
                let mut command = format!(
                    "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n",
                    channel.len(),
                    body.len()
                )
                .into_bytes();
                command.extend_from_slice(body);
                command.extend_from_slice(b"\r\n");
                stream.write_all(&command).unwrap();
                let reply = BufReader::new(stream).lines().next().unwrap().unwrap();
                let subscribers = reply.strip_prefix(':').unwrap();
                subscribers != "0"
            }
            Kind::Nats => {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                // An answer comes if there are no subscribers.
                let mut command = format!(
                    "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true}}\r\n\
                     SUB answer 1\r\nPUB {channel} answer {}\r\n",
                    body.len()
                )
                .into_bytes();
                command.extend_from_slice(body);
                command.extend_from_slice(b"\r\nPING\r\n");
                stream.write_all(&command).unwrap();
                // The server introduces itself, and may send pings.
                let mut is_heard = true;
                for line in lines.map(Result::unwrap) {
                    if line == "PONG" {
                        return is_heard;
                    }
                    is_heard &= !line.starts_with("HMSG answer ");
                }
                panic!("it hangs up");
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn config(kind: Kind, at: Ipv4Addr, port: u16, directory: &TempDir, extra: &str) -> String {
    // Redis takes a list of addresses; NATS has one, or all.
    let (list, one) = match at.is_loopback() {
        true => (at.to_string(), at),
        false => (format!("127.0.0.1 {at}"), Ipv4Addr::UNSPECIFIED),
    };
    match kind {
        Kind::Redis => format!(
            "bind {list}\nprotected-mode no\nport {port}\nsave \"\"\nappendonly no\ndaemonize no\n\
             dir {}\n{extra}\n",
            directory.path().display()
        ),
        Kind::Nats => format!("host: {one}\nport: {port}\n{extra}\n"),
    }
}

/// Starts a server and waits for the line that reports it ready.
fn launch(kind: Kind, directory: &TempDir) -> Result<Child, String> {
    let config = directory.path().join("server.conf");
    let mut command = match kind {
        Kind::Redis => {
            let mut command = Command::new(program("redis-server"));
            command.arg(config).stdout(Stdio::piped());
            command
        }
        Kind::Nats => {
            let mut command = Command::new(program("nats-server"));
            command.arg("--config").arg(config).stderr(Stdio::piped());
            command
        }
    };
    let mut child = command.spawn().unwrap();
    let output: Box<dyn Read + Send> = match kind {
        Kind::Redis => Box::new(child.stdout.take().unwrap()),
        Kind::Nats => Box::new(child.stderr.take().unwrap()),
    };
    let mut said = String::new();
    let mut lines = BufReader::new(output).lines();
    for line in &mut lines {
        let line = line.unwrap_or_default();
        if line.contains("Ready to accept connections") || line.contains("Server is ready") {
            // Its later output must not fill the pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(child);
        }
        said += &line;
        said.push('\n');
    }
    child.wait().unwrap();
    Err(said)
}

/// Finds a server: on the path, or in Debian's folder of programs for root.
///
/// # Panics
///
/// Panics if it is not found, with the command that installs it.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let mut found = folders.iter().map(|folder| folder.join(name));
    found.find(|file| file.is_file()).unwrap_or_else(|| {
        let package = name;
        panic!("{name} is not installed; on Debian: apt-get install {package}")
    })
}
