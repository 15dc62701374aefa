//! Many clients in one thread: an epoll loop that reads frames and hardly looks at them.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::ws;

/// How long nothing may happen before a run is given up.
const PATIENCE: Duration = Duration::from_secs(20);

struct Client {
    stream: TcpStream,
    /// A frame that has come in part.
    rest: Vec<u8>,
}

/// The clients of one run.
pub struct Clients {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
}

impl Clients {
    /// Connects `count` clients, one after the other, each with its WebSocket handshake.
    pub fn connect(addr: &str, path: &str, count: usize) -> Result<Self> {
        let addr: SocketAddr = addr.parse()?;
        let request = ws::request(path);
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(count);
        for n in 0..count {
            let mut stream = std::net::TcpStream::connect(addr)?;
            stream.set_nodelay(true)?;
            stream.write_all(&request)?;
            let mut head = Vec::new();
            let mut chunk = [0; 512];
            let end = loop {
                let read = stream.read(&mut chunk)?;
                ensure!(read > 0, "the server closed during the handshake");
                head.extend_from_slice(&chunk[..read]);
                if let Some(end) = ws::head_end(&head) {
                    break end;
                }
            };
            ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(n), Interest::READABLE)?;
            clients.push(Client { stream, rest: head[end..].to_vec() });
        }
        let events = Events::with_capacity(1024);
        Ok(Clients { poll, events, clients, buffer: vec![0; 256 * 1024] })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there are none.
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

    /// Reads frames until `seen` says that it is enough; it gets the client and the payload.
    pub fn read_until(&mut self, mut seen: impl FnMut(usize, &[u8]) -> bool) -> Result<()> {
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            let timeout = deadline.saturating_duration_since(Instant::now());
            self.poll.poll(&mut self.events, Some(timeout))?;
            if self.events.is_empty() {
                bail!("nothing came for {PATIENCE:?}");
            }
            deadline = Instant::now() + PATIENCE;
            let mut enough = false;
            for event in &self.events {
                let at = event.token().0;
                let client = &mut self.clients[at];
                enough |= client.read(&mut self.buffer, |payload| seen(at, payload))?;
            }
            if enough {
                return Ok(());
            }
        }
    }

    /// Sends each client's frame and waits until each has been answered.
    pub fn ask_all(&mut self, mut frame: impl FnMut(usize) -> String) -> Result<()> {
        // In portions, lest the server's answers wait for a generator that is busy sending.
        let all: Vec<usize> = (0..self.len()).collect();
        for portion in all.chunks(500) {
            for &client in portion {
                let frame = frame(client);
                self.send(client, &frame)?;
            }
            let mut answers = 0;
            self.read_until(|_, payload| {
                answers += usize::from(is_reply(payload));
                answers == portion.len()
            })?;
        }
        Ok(())
    }
}

/// Whether a payload is the reply to a message.
pub fn is_reply(payload: &[u8]) -> bool {
    payload.windows(9).take(96).any(|part| part == b"phx_reply")
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
