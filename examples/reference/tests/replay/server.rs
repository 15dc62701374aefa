//! A reference server in a process of its own, and plain HTTP requests to it.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use crate::{Outcome, recording::Http};

/// The time that any expected event may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; dropping it kills the process.
pub(crate) struct Server {
    child: Child,
    /// `127.0.0.1:port`
    pub(crate) address: String,
}

/// Returns the server's program, with a port, and without its log unless `RUST_LOG` asks for it.
pub(crate) fn command(port: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reference"));
    command
        .env("PORT", port)
        .stdout(Stdio::piped())
        .stderr(match std::env::var_os("RUST_LOG") {
            Some(_) => Stdio::inherit(),
            None => Stdio::null(),
        })
        .kill_on_drop(true);
    command
}

impl Server {
    /// Starts a server on a free port, and reads its address from its first line.
    pub(crate) async fn start() -> Outcome<Self> {
        let spawned = command("0").spawn();
        let mut child = spawned.map_err(|error| format!("the server cannot start: {error}"))?;
        let stdout = child.stdout.take().ok_or("the server has no stdout")?;
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        read.map_err(|_| "the server prints nothing")?
            .map_err(|error| format!("the server's stdout cannot be read: {error}"))?;
        let address = line
            .trim_end()
            .strip_prefix("reference listening on http://")
            .ok_or_else(|| format!("not the line a server prints: {line:?}"))?
            .to_owned();
        Ok(Server { child, address })
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) async fn signal(&self, name: &str) -> Outcome<()> {
        let pid = self.child.id().ok_or("the server is gone already")?;
        let mut kill = Command::new("kill");
        match kill.args(["-s", name, &pid.to_string()]).status().await {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("kill -s {name} {pid}: {other:?}")),
        }
    }

    /// Waits for its end.
    pub(crate) async fn exit(mut self) -> Outcome<ExitStatus> {
        let exit = timeout(PATIENCE, self.child.wait()).await;
        exit.map_err(|_| "the server does not exit")?
            .map_err(|error| error.to_string())
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Makes one request on a connection of its own.
pub(crate) async fn request(address: &str, http: &Http) -> Outcome<Answer> {
    let io = |error: std::io::Error| format!("{} {}: {error}", http.method, http.path);
    let mut stream = TcpStream::connect(address).await.map_err(io)?;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: {address}\r\n",
        http.method, http.path
    );
    for (name, value) in &http.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", http.request_body.len());
    let bytes = [head.as_bytes(), &http.request_body].concat();
    stream.write_all(&bytes).await.map_err(io)?;
    read_answer(&mut stream, &mut Vec::new(), http.method != "HEAD").await
}

/// Reads an answer; what follows it stays in `buffer`.
pub(crate) async fn read_answer(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    has_body: bool,
) -> Outcome<Answer> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let mut answer = Answer {
        status: status.ok_or_else(|| format!("not a status line: {status_line:?}"))?,
        headers: headers.collect(),
        body: Vec::new(),
    };
    let length = answer.header("content-length").map(str::parse::<usize>);
    if let Some(Ok(length)) = length.filter(|_| has_body) {
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        answer.body = buffer.drain(..length).collect();
    }
    Ok(answer)
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Outcome<()> {
    match timeout(PATIENCE, stream.read_buf(buffer)).await {
        Ok(Ok(0)) => Err("the connection ended in the middle of an answer".to_owned()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}
