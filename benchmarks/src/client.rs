//! Many clients in one thread: an epoll loop that reads frames and hardly looks at them.

use std::{
    io::{ErrorKind, Read, Write},
    net::ToSocketAddrs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    protocol::{Protocol, Said},
    server::Server,
    ws,
};

/// The time without any progress after which a run is abandoned.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interval of a client's heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(30);

struct Client {
    stream: TcpStream,
    /// The bytes of an incomplete frame.
    rest: Vec<u8>,
}

/// The clients of one run.
pub struct Clients {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    /// The protocol of the clients.
    pub protocol: Protocol,
}

impl Clients {
    /// Connects `count` clients, one after the other, each with its WebSocket handshake.
    pub fn connect(server: &Server, count: usize) -> Result<Self> {
        let addrs: Vec<_> = server
            .addr
            .to_socket_addrs()
            .with_context(|| format!("{:?} has no address", server.addr))?
            .collect();
        let request = ws::request(&server.addr, &server.path);
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(count);
        for n in 0..count {
            let mut stream = std::net::TcpStream::connect(&addrs[..])
                .with_context(|| format!("cannot connect to {}", server.addr))?;
            stream.set_nodelay(true)?;
            let rest = handshake(&mut stream, &request)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(n), Interest::READABLE)?;
            clients.push(Client { stream, rest });
        }
        let events = Events::with_capacity(1024);
        let buffer = vec![0; 256 * 1024];
        let mut clients = Clients {
            poll,
            events,
            clients,
            buffer,
            protocol: server.protocol,
        };
        if let Some(hello) = server.protocol.hello() {
            clients.ask_all(|_| hello.to_owned())?;
        }
        Ok(clients)
    }

    /// Returns the number of clients.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Returns true if there are no clients.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Sends a text frame from one client.
    pub fn send(&mut self, client: usize, text: &str) -> Result<()> {
        let mut frame = Vec::with_capacity(text.len() + 14);
        ws::text(&mut frame, text.as_bytes(), true);
        let mut left = &frame[..];
        while !left.is_empty() {
            match self.clients[client].stream.write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads messages until `seen` returns true. It gets the client and the message.
    pub fn read_until(&mut self, mut seen: impl FnMut(usize, Said) -> bool) -> Result<()> {
        self.read_messages(PATIENCE, |client, said, _| seen(client, said))?
            .then_some(())
            .with_context(|| format!("messages were lost: none came for {PATIENCE:?}"))
    }

    /// Reads until `seen` returns true, or until nothing has come for `patience`, and then returns
    /// `false`.
    fn read_messages(
        &mut self,
        patience: Duration,
        mut seen: impl FnMut(usize, Said, &[u8]) -> bool,
    ) -> Result<bool> {
        let protocol = self.protocol;
        let mut deadline = Instant::now() + patience;
        let mut pinged = Vec::new();
        loop {
            let timeout = deadline.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut self.events, Some(timeout)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            if self.events.is_empty() {
                return Ok(false);
            }
            let mut enough = false;
            for event in &self.events {
                let at = event.token().0;
                enough |= self.clients[at].read(&mut self.buffer, |payload| {
                    let said = protocol.read(payload);
                    if said == Said::Ping {
                        pinged.push(at);
                        return false;
                    }
                    seen(at, said, payload)
                })?;
            }
            // A ping of the server is no progress.
            if pinged.is_empty() {
                deadline = Instant::now() + patience;
            }
            for at in pinged.drain(..) {
                self.send(at, protocol.pong())?;
            }
            if enough {
                return Ok(true);
            }
        }
    }

    /// Lets time pass with clients that only answer pings.
    pub fn idle(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        let mut beat = Instant::now() + HEARTBEAT;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            if now >= beat {
                beat += HEARTBEAT;
                for client in 0..self.len() {
                    if let Some(heartbeat) = self.protocol.heartbeat() {
                        self.send(client, heartbeat)?;
                    }
                }
            }
            let patience = until.min(beat).saturating_duration_since(now);
            self.read_messages(patience, |_, _, _| true)?;
        }
    }

    /// Sends each client's message and waits until each has been answered.
    pub fn ask_all(&mut self, mut message: impl FnMut(usize) -> String) -> Result<()> {
        let protocol = self.protocol;
        // In portions, so that the server's answers need not wait for a generator that is busy
        // sending.
        let all: Vec<usize> = (0..self.len()).collect();
        for portion in all.chunks(500) {
            for &client in portion {
                let message = message(client);
                self.send(client, &message)?;
            }
            let mut answers = 0;
            let mut refused = None;
            let all_came = self.read_messages(PATIENCE, |_, said, payload| {
                if said == Said::Answer {
                    answers += 1;
                    if protocol.is_refusal(payload) {
                        refused = Some(String::from_utf8_lossy(payload).into_owned());
                    }
                }
                answers == portion.len()
            })?;
            if let Some(refused) = refused {
                bail!("the server refused: {refused}");
            }
            ensure!(all_came, "answers were lost: none came for {PATIENCE:?}");
        }
        Ok(())
    }
}

/// Sends the request and reads its answer. Returns the bytes behind it.
fn handshake(stream: &mut std::net::TcpStream, request: &[u8]) -> Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut head = Vec::new();
    let mut chunk = [0; 512];
    let end = loop {
        let read = stream
            .read(&mut chunk)
            .context("the handshake was not answered")?;
        ensure!(read > 0, "the server closed during the handshake");
        head.extend_from_slice(&chunk[..read]);
        if let Some(end) = ws::head_end(&head) {
            break end;
        }
    };
    if !head.starts_with(b"HTTP/1.1 101") {
        let head = String::from_utf8_lossy(&head);
        bail!(
            "no WebSocket there: {}",
            head.lines().next().unwrap_or_default()
        );
    }
    Ok(head[end..].to_vec())
}

impl Client {
    fn read(&mut self, buffer: &mut [u8], mut seen: impl FnMut(&[u8]) -> bool) -> Result<bool> {
        let mut enough = false;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => {
                    enough |= self.take(&buffer[..read], &mut seen);
                    if read < buffer.len() {
                        return Ok(enough);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(enough),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], seen: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let mut enough = false;
        let joined;
        let mut left = if self.rest.is_empty() {
            bytes
        } else {
            self.rest.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.rest);
            &joined[..]
        };
        while let Some(frame) = ws::frame(left) {
            if frame.opcode == 1 {
                enough |= seen(&left[frame.start..frame.end]);
            }
            left = &left[frame.end..];
        }
        self.rest.extend_from_slice(left);
        enough
    }
}
