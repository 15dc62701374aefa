//! Plays a scenario against a running server.

use std::{collections::BTreeMap, fmt};

use crate::{
    Outcome,
    client::{Client, Incoming, describe, text_of},
    frame::{Frame, opcode},
    json::Json,
    recording::{Expected, HandlerFuture, Http, Scenario},
    server::{self, Server},
};

/// The step at which a scenario differed.
pub(crate) struct Failure {
    scenario: String,
    /// Counted from 1; one past the last is the silence at the end.
    step: usize,
    expected: String,
    got: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            scenario,
            step,
            expected,
            got,
        } = self;
        writeln!(f, "{scenario:?}, step {step}")?;
        writeln!(f, "  expected {expected}")?;
        writeln!(f, "  got      {got}")
    }
}

/// Plays all steps, and checks that nothing comes after them.
pub(crate) async fn play(scenario: &Scenario, server: &Server) -> Result<(), Failure> {
    let mut player = Player {
        scenario,
        server,
        clients: BTreeMap::new(),
    };
    let failure = |step, expected, got| Failure {
        scenario: scenario.name.clone(),
        step,
        expected,
        got,
    };
    for (at, step) in scenario.steps.iter().enumerate() {
        let played = player.step(step, scenario.steps.get(at + 1)).await;
        played.map_err(|got| failure(at + 1, expectation(step), got))?;
    }
    let nothing = expectation(&HandlerFuture::Receive(
        "every client".to_owned(),
        Expected::Nothing,
    ));
    let end = player.expect_silence().await;
    end.map_err(|got| failure(scenario.steps.len() + 1, nothing, got))
}

/// Returns the expectation of a step, cut to a line.
fn expectation(step: &HandlerFuture) -> String {
    format!("{step:?}").chars().take(400).collect()
}

struct Player<'a> {
    scenario: &'a Scenario,
    server: &'a Server,
    clients: BTreeMap<&'a str, Client>,
}

impl<'a> Player<'a> {
    async fn step(
        &mut self,
        step: &'a HandlerFuture,
        following: Option<&HandlerFuture>,
    ) -> Outcome<()> {
        match step {
            HandlerFuture::Connect(name, status) => self.connect(name, *status).await,
            HandlerFuture::Send(name, frame) => {
                let client = self.client(name)?;
                client.queue(frame);
                // Frames behind each other go out in one write.
                match following {
                    Some(HandlerFuture::Send(next, _)) if next == name => Ok(()),
                    _ => client.flush().await,
                }
            }
            HandlerFuture::Receive(name, expected) => self.receive(name, expected).await,
            HandlerFuture::AnyOrder(name, texts) => self.receive_all(name, texts).await,
            HandlerFuture::Http(http) => self.http(http).await,
            HandlerFuture::Elapsed(name, time) => {
                let idle = self.client(name)?.idle();
                (idle >= *time)
                    .then_some(())
                    .ok_or_else(|| format!("only {idle:?}"))
            }
            HandlerFuture::Terminate => self.server.signal("TERM").await,
        }
    }

    fn client(&mut self, name: &str) -> Outcome<&mut Client> {
        let client = self.clients.get_mut(name);
        client.ok_or_else(|| format!("client {name} is not connected"))
    }

    async fn connect(&mut self, name: &'a str, status: u16) -> Outcome<()> {
        let opening = self.scenario.openings.get(name);
        let opening = opening.ok_or_else(|| format!("no client {name}"))?;
        let (answer, client) = Client::connect(&self.server.address, opening).await?;
        if answer.status != status {
            return Err(format!("HTTP {}", answer.status));
        }
        if answer.header("sec-websocket-protocol") != opening.subprotocol.as_deref() {
            return Err(format!("{:?}", answer.headers));
        }
        match client {
            Some(client) => {
                self.clients.insert(name, client);
            }
            None => same_body(&opening.http_body, &answer.body)?,
        }
        Ok(())
    }

    async fn receive(&mut self, name: &str, expected: &Expected) -> Outcome<()> {
        let client = self.client(name)?;
        if let Expected::Nothing = expected {
            return client.expect_silence().await;
        }
        let incoming = client.next().await?;
        let frame = |opcode, payload: &[u8]| Incoming::Frame(Frame::new(opcode, payload));
        let fits = match expected {
            Expected::Text(text) => same_text(text, &incoming),
            Expected::Binary(bytes) => incoming == frame(opcode::BINARY, bytes),
            Expected::Pong(bytes) => incoming == frame(opcode::PONG, bytes),
            Expected::Eof => incoming == Incoming::Eof,
            Expected::Close(code) => matches!(
                &incoming,
                Incoming::Frame(frame)
                    if frame.opcode == opcode::CLOSE && frame.close_code() == *code
            ),
            Expected::Nothing => false,
        };
        fits.then_some(()).ok_or_else(|| describe(&incoming))
    }

    async fn receive_all(&mut self, name: &str, texts: &[String]) -> Outcome<()> {
        let client = self.client(name)?;
        let mut left: Vec<&String> = texts.iter().collect();
        while !left.is_empty() {
            let incoming = client.next().await?;
            let at = left.iter().position(|text| same_text(text, &incoming));
            left.remove(at.ok_or_else(|| describe(&incoming))?);
        }
        Ok(())
    }

    async fn http(&mut self, http: &Http) -> Outcome<()> {
        let answer = server::request(&self.server.address, http).await?;
        if answer.status != http.status {
            let body = String::from_utf8_lossy(&answer.body);
            return Err(format!("HTTP {} {body:?}", answer.status));
        }
        match &http.body {
            Some(body) => same_body(body, &answer.body),
            None => Ok(()),
        }
    }

    /// Checks that nothing comes to any client that is still connected.
    async fn expect_silence(&mut self) -> Outcome<()> {
        for (name, client) in &mut self.clients {
            if !client.closing {
                let silence = client.expect_silence().await;
                silence.map_err(|got| format!("client {name}: {got}"))?;
            }
        }
        Ok(())
    }
}

fn same_text(expected: &str, incoming: &Incoming) -> bool {
    let got = text_of(incoming).map(Json::parse);
    matches!((Json::parse(expected), got), (Ok(expected), Some(Ok(got))) if expected == got)
}

fn same_body(expected: &str, got: &[u8]) -> Outcome<()> {
    let got = String::from_utf8_lossy(got);
    (expected == got)
        .then_some(())
        .ok_or_else(|| format!("body {got:?}"))
}
