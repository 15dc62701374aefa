//! A WebSocket client that sends any frame.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    Outcome,
    frame::{Frame, opcode},
    json::Json,
    recording::Opening,
    server::{Answer, PATIENCE, read_answer},
};

/// The key of RFC 6455's own example, and the server's answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The address of the original server.
const RECORDED_AT: &str = "127.0.0.1:4000";

/// One client's connection.
pub(crate) struct Client {
    stream: TcpStream,
    incoming: Vec<u8>,
    /// The frames that have not been written, to be written all at once.
    outgoing: Vec<u8>,
    is_v1: bool,
    /// The topics it has named, to ask their channels if there is more.
    topics: BTreeSet<String>,
    probes: usize,
    last_sent: Instant,
    close_sent: bool,
    /// True once a close has come or been sent: no further question is possible.
    pub(crate) closing: bool,
}

/// An event of a connection.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    Frame(Frame),
    Eof,
    /// Nothing has come for too long.
    Silence,
}

impl Client {
    /// Opens a WebSocket. Returns `None` for a refusal, which the answer shows.
    pub(crate) async fn connect(
        address: &str,
        opening: &Opening,
    ) -> Outcome<(Answer, Option<Client>)> {
        let io = |error: std::io::Error| format!("connect: {error}");
        let mut stream = TcpStream::connect(address).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let mut head = format!(
            "GET {} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n",
            opening.path
        );
        if let Some(origin) = &opening.origin {
            // If the page of a scenario came from the server itself, it came from this address.
            let origin = origin.replace(RECORDED_AT, address);
            head += &format!("origin: {origin}\r\n");
        }
        for header in &opening.request_headers {
            head += &format!("{header}\r\n");
        }
        stream.write_all(head.as_bytes()).await.map_err(io)?;
        stream.write_all(b"\r\n").await.map_err(io)?;
        let mut incoming = Vec::new();
        let answer = read_answer(&mut stream, &mut incoming, true).await?;
        if answer.status != 101 {
            return Ok((answer, None));
        }
        if answer.header("sec-websocket-accept") != Some(ACCEPT) {
            return Err(format!("a wrong sec-websocket-accept: {answer:?}"));
        }
        let client = Client {
            stream,
            incoming,
            outgoing: Vec::new(),
            is_v1: !opening.path.contains("vsn=2"),
            topics: BTreeSet::new(),
            probes: 0,
            last_sent: Instant::now(),
            close_sent: false,
            closing: false,
        };
        Ok((answer, Some(client)))
    }

    /// Queues a frame. All queued frames go out in one write.
    pub(crate) fn queue(&mut self, frame: &Frame) {
        self.topics.extend(topic_of(frame));
        if frame.opcode == opcode::CLOSE {
            (self.close_sent, self.closing) = (true, true);
        }
        frame.write(&mut self.outgoing);
    }

    /// Writes what is queued.
    pub(crate) async fn flush(&mut self) -> Outcome<()> {
        // Before the server can know of it, or its time would seem shorter than it is.
        self.last_sent = Instant::now();
        let written = self.stream.write_all(&self.outgoing).await;
        self.outgoing.clear();
        written.map_err(|error| format!("write: {error}"))
    }

    /// Returns the time since it last sent something.
    pub(crate) fn idle(&self) -> Duration {
        self.last_sent.elapsed()
    }

    /// Returns the next event. Answers a close, like any client.
    pub(crate) async fn next(&mut self) -> Outcome<Incoming> {
        loop {
            if let Some(frame) = Frame::read(&mut self.incoming)? {
                if frame.opcode == opcode::CLOSE {
                    self.answer_close(&frame).await;
                }
                return Ok(Incoming::Frame(frame));
            }
            match timeout(PATIENCE, self.stream.read_buf(&mut self.incoming)).await {
                Ok(Ok(0)) => return Ok(Incoming::Eof),
                Ok(Ok(_)) => {}
                // The server need not read the frames that the client sent before it saw the close.
                Ok(Err(_)) if self.closing => return Ok(Incoming::Eof),
                Ok(Err(error)) => return Err(format!("read: {error}")),
                Err(_) => return Ok(Incoming::Silence),
            }
        }
    }

    async fn answer_close(&mut self, close: &Frame) {
        self.closing = true;
        if !std::mem::replace(&mut self.close_sent, true) {
            let code = close.payload.get(..2).unwrap_or_default();
            let last_sent = self.last_sent;
            self.queue(&Frame::new(opcode::CLOSE, code));
            // A server that is gone already has sent everything.
            let _gone = self.flush().await;
            self.last_sent = last_sent;
        }
    }

    /// Proves that nothing more comes of all that was sent so far, without waiting for time to
    /// pass: asks every channel for a reply, and the connection for a heartbeat. A channel answers
    /// in order, so any result of an earlier message would come before.
    pub(crate) async fn expect_silence(&mut self) -> Outcome<()> {
        let mut asked = BTreeSet::new();
        let topics = self.topics.clone();
        for (topic, event) in topics.iter().map(|topic| (topic.as_str(), "ack")) {
            self.ask(topic, event, &mut asked);
        }
        self.ask("phoenix", "heartbeat", &mut asked);
        self.flush().await?;
        while !asked.is_empty() {
            let incoming = self.next().await?;
            let known = match &incoming {
                Incoming::Frame(frame) => answered_ref(frame).is_some_and(|key| asked.remove(&key)),
                Incoming::Eof | Incoming::Silence => false,
            };
            if !known {
                return Err(describe(&incoming));
            }
        }
        Ok(())
    }

    fn ask(&mut self, topic: &str, event: &str, asked: &mut BTreeSet<String>) {
        self.probes += 1;
        let reference = format!("probe {}", self.probes);
        let topic = serde_json::Value::from(topic);
        let text = match self.is_v1 {
            true => format!(
                r#"{{"topic":{topic},"event":"{event}","payload":{{}},"ref":"{reference}"}}"#
            ),
            false => format!(r#"[null,"{reference}",{topic},"{event}",{{}}]"#),
        };
        Frame::text(&text).write(&mut self.outgoing);
        asked.insert(reference);
    }
}

/// Returns the topic that a client's frame names, unless it is the protocol's own.
fn topic_of(frame: &Frame) -> Option<String> {
    let topic = match frame.opcode {
        opcode::TEXT => {
            let message = Json::parse(std::str::from_utf8(&frame.payload).ok()?).ok()?;
            let topic = message.at(2).or_else(|| message.get("topic"))?;
            topic.as_str()?.to_owned()
        }
        opcode::BINARY => {
            let [0, join_ref, reference, topic, _, fields @ ..] = &frame.payload[..] else {
                return None;
            };
            let start = usize::from(*join_ref) + usize::from(*reference);
            let topic = fields.get(start..start + usize::from(*topic))?;
            std::str::from_utf8(topic).ok()?.to_owned()
        }
        _ => return None,
    };
    (topic != "phoenix").then_some(topic)
}

/// Returns the ref that a reply in text answers.
fn answered_ref(frame: &Frame) -> Option<String> {
    let message = Json::parse(std::str::from_utf8(&frame.payload).ok()?).ok()?;
    let event = message.at(3).or_else(|| message.get("event"))?;
    let reference = message.at(1).or_else(|| message.get("ref"))?;
    (event.as_str() == Some("phx_reply"))
        .then(|| reference.as_str().map(str::to_owned))
        .flatten()
}

/// Returns an event in words, with long payloads cut.
pub(crate) fn describe(incoming: &Incoming) -> String {
    let frame = match incoming {
        Incoming::Frame(frame) => frame,
        Incoming::Eof => return "the end of the connection".to_owned(),
        Incoming::Silence => return format!("nothing for {PATIENCE:?}"),
    };
    let text = String::from_utf8_lossy(&frame.payload);
    let cut: String = text.chars().take(300).collect();
    match frame.opcode {
        opcode::TEXT => format!("text {cut}"),
        opcode::BINARY => format!(
            "binary {:02x?}",
            &frame.payload[..frame.payload.len().min(100)]
        ),
        opcode::CLOSE => {
            let reason: String = text.chars().skip(2).collect();
            format!("close {} {reason:?}", frame.close_code())
        }
        other => format!("opcode {other} {cut:?}"),
    }
}

/// Returns the text of a frame that has one.
pub(crate) fn text_of(incoming: &Incoming) -> Option<&str> {
    match incoming {
        Incoming::Frame(frame) if frame.opcode == opcode::TEXT && frame.fin && frame.rsv == 0 => {
            std::str::from_utf8(&frame.payload).ok()
        }
        _ => None,
    }
}
