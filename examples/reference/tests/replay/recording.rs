//! The recordings: the frames between clients and the original server.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Outcome,
    frame::{Frame, from_hex, opcode},
};

/// The recordings of WebSockets, one file a group.
const FILES: [(&str, &str); 7] = [
    ("connect", include_str!("../traces/connect.json")),
    ("v2", include_str!("../traces/v2.json")),
    ("v2_binary", include_str!("../traces/v2_binary.json")),
    ("v1", include_str!("../traces/v1.json")),
    ("malformed", include_str!("../traces/malformed.json")),
    ("timeout", include_str!("../traces/timeout.json")),
    ("shutdown", include_str!("../traces/shutdown.json")),
];

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) group: &'static str,
    pub(crate) openings: BTreeMap<String, Opening>,
    pub(crate) steps: Vec<HandlerFuture>,
}

/// The request that opens a client's WebSocket.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Opening {
    pub(crate) path: String,
    pub(crate) origin: Option<String>,
    #[serde(default)]
    pub(crate) request_headers: Vec<String>,
    /// The body of a refusal.
    #[serde(default)]
    pub(crate) http_body: String,
    /// The subprotocol that the server selects.
    #[serde(rename = "sec-websocket-protocol")]
    pub(crate) subprotocol: Option<String>,
}

/// One step: an action of a client, or a frame that must reach it.
#[derive(Clone, Debug)]
pub(crate) enum HandlerFuture {
    /// The client connects and gets this HTTP status.
    Connect(String, u16),
    /// The client sends a frame.
    Send(String, Frame),
    /// The client receives exactly this.
    Receive(String, Expected),
    /// The client receives these texts in any order.
    AnyOrder(String, Vec<String>),
    /// Plain HTTP.
    Http(Http),
    /// At least this long after the client last sent something.
    Elapsed(String, Duration),
    /// The server gets SIGTERM.
    Terminate,
}

/// A frame that a client must receive.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// A close with this code; the reason is the server's own.
    Close(u16),
    /// The end of the connection.
    Eof,
    /// Nothing, as a result of all steps so far.
    Nothing,
}

/// An HTTP request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) request_body: Vec<u8>,
    pub(crate) status: u16,
    /// The answer's body, if it is compared.
    pub(crate) body: Option<String>,
}

/// All scenarios, in the order of the files.
pub(crate) fn all() -> Outcome<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for (group, json) in FILES {
        let file: File = serde_json::from_str(json).map_err(|error| format!("{group}: {error}"))?;
        for raw in file.scenarios {
            let name = raw.name.clone();
            let scenario = raw.read(group);
            scenarios.push(scenario.map_err(|error| format!("{name}: {error}"))?);
        }
    }
    Ok(scenarios)
}

#[derive(Deserialize)]
struct File {
    scenarios: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    name: String,
    #[serde(default)]
    clients: BTreeMap<String, Opening>,
    steps: Vec<Map<String, Value>>,
}

impl Raw {
    fn read(self, group: &'static str) -> Outcome<Scenario> {
        let mut steps = Vec::new();
        for step in &self.steps {
            steps.extend(read_step(step)?);
        }
        let mut scenario = Scenario {
            name: self.name,
            group,
            openings: self.clients,
            steps,
        };
        scenario.fill_in();
        Ok(scenario)
    }
}

impl Scenario {
    /// Adds the events besides the clients that are not among the recorded steps.
    ///
    /// The pauses between signs of life are left out: that these keep a connection is shown in
    /// `channel-runtime/tests/transports.rs`, where a test moves the clock and cannot be late.
    fn fill_in(&mut self) {
        if self.group == "shutdown" {
            let closes = |step: &HandlerFuture| {
                matches!(step, HandlerFuture::Receive(_, Expected::Close(_)))
            };
            let at = self.steps.iter().position(closes);
            self.steps
                .insert(at.unwrap_or(self.steps.len()), HandlerFuture::Terminate);
        }
    }
}

fn read_step(step: &Map<String, Value>) -> Outcome<Vec<HandlerFuture>> {
    if let Some(elided) = text(step, "elided") {
        return elided_joins(elided);
    }
    let client = text(step, "client")
        .ok_or("a step without a client")?
        .to_owned();
    if client == "http" {
        return Ok(vec![HandlerFuture::Http(read_http(step)?)]);
    }
    if let Some(status) = number(step, "connect") {
        return Ok(vec![HandlerFuture::Connect(client, status)]);
    }
    if let Some(seconds) = step.get("elapsed_s").and_then(Value::as_f64) {
        return Ok(vec![HandlerFuture::Elapsed(
            client,
            Duration::from_secs_f64(seconds),
        )]);
    }
    if let Some(kind) = text(step, "send") {
        return Ok(vec![HandlerFuture::Send(client, sent(kind, step)?)]);
    }
    Ok(vec![HandlerFuture::Receive(client, received(step)?)])
}

/// `joins 1..98 all ok`: the joins that the recording leaves out.
fn elided_joins(elided: &str) -> Outcome<Vec<HandlerFuture>> {
    if elided != "joins 1..98 all ok" {
        return Err(format!("unknown elision {elided:?}"));
    }
    let join = |n: u32| {
        let response = format!(r#"{{"status":"ok","response":{{"id":"{n}"}}}}"#);
        let frame = Frame::text(&format!(r#"["{n}","{n}","room:{n}","phx_join",{{}}]"#));
        let reply = format!(r#"["{n}","{n}","room:{n}","phx_reply",{response}]"#);
        [
            HandlerFuture::Send("a".to_owned(), frame),
            HandlerFuture::Receive("a".to_owned(), Expected::Text(reply)),
        ]
    };
    Ok((1..=98).flat_map(join).collect())
}

fn sent(kind: &str, step: &Map<String, Value>) -> Outcome<Frame> {
    let opcode = match kind {
        "text" => opcode::TEXT,
        "binary" => opcode::BINARY,
        "ping" => opcode::PING,
        "pong" => opcode::PONG,
        "close" => opcode::CLOSE,
        "continuation" => opcode::CONTINUATION,
        "opcode3" => 3,
        other => return Err(format!("unknown frame {other:?}")),
    };
    let payload = match (text(step, "text"), text(step, "hex")) {
        (Some(text), _) => unabridged(text, r#""}]"#)?.into_bytes(),
        (_, Some(hex)) => from_hex(hex),
        _ => return Err("a frame without a payload".to_owned()),
    };
    Ok(Frame {
        fin: step.get("fin").and_then(Value::as_bool).unwrap_or(true),
        rsv: step.get("rsv").and_then(Value::as_u64).unwrap_or(0) as u8,
        opcode,
        payload,
    })
}

fn received(step: &Map<String, Value>) -> Outcome<Expected> {
    let hex = || text(step, "hex").map(from_hex).ok_or("bytes without `hex`");
    Ok(
        match text(step, "recv").ok_or("a step that says nothing")? {
            "text" => {
                let text = text(step, "text").ok_or("a text without `text`")?;
                Expected::Text(unabridged(text, r#""},"status":"ok"}]"#)?)
            }
            "binary" => Expected::Binary(hex()?),
            "pong" => Expected::Pong(hex()?),
            "close" => Expected::Close(number(step, "code").ok_or("a close without `code`")?),
            "tcp_eof" => Expected::Eof,
            "none" => Expected::Nothing,
            other => return Err(format!("unknown reception {other:?}")),
        },
    )
}

fn read_http(step: &Map<String, Value>) -> Outcome<Http> {
    let word = |key| {
        text(step, key)
            .map(str::to_owned)
            .ok_or(format!("no `{key}`"))
    };
    let headers = step.get("request_headers").and_then(Value::as_object);
    let headers = headers.into_iter().flatten();
    let request_body = text(step, "request_body").unwrap_or_default();
    Ok(Http {
        method: word("method")?,
        path: word("path")?,
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        request_body: match request_body.strip_prefix("hex:") {
            Some(hex) => from_hex(hex),
            None => request_body.as_bytes().to_vec(),
        },
        status: number(step, "status").ok_or("no `status`")?,
        body: Some(word("body")?),
    })
}

/// Long texts are recorded as `…xxx...(1000038 chars)`: the `x` go on up to the closing part.
fn unabridged(text: &str, closing: &str) -> Outcome<String> {
    let Some((start, length)) = text.rsplit_once("...(") else {
        return Ok(text.to_owned());
    };
    let length = length
        .trim_end_matches(" chars)")
        .trim_end_matches(" bytes)");
    let length: usize = length
        .parse()
        .map_err(|_| format!("not a length: {length:?}"))?;
    let filling = length
        .checked_sub(start.len() + closing.len())
        .ok_or("a text that is longer than its length")?;
    Ok([start, &"x".repeat(filling), closing].concat())
}

fn text<'a>(step: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    step.get(key).and_then(Value::as_str)
}

fn number(step: &Map<String, Value>, key: &str) -> Option<u16> {
    let number = step.get(key).and_then(Value::as_u64)?;
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_restored_to_its_length() {
        let restored = unabridged(r#"[{"a":"xx...(20 chars)"#, r#""}]"#).unwrap();
        assert_eq!(restored.len(), 20);
        assert_eq!(restored, r#"[{"a":"xxxxxxxxxx"}]"#);
        assert_eq!(unabridged("short", "]").unwrap(), "short");
    }

    #[test]
    fn every_recording_can_be_read() {
        let scenarios = all().unwrap();
        assert!(scenarios.iter().all(|scenario| !scenario.steps.is_empty()));
    }
}
