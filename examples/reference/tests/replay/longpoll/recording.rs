//! The recordings of long-poll: requests and their answers, one after the other.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Outcome, recording::Http};

const FILE: &str = include_str!("../../traces/longpoll.json");

/// The placeholder of the session's token in a path.
pub(super) const TOKEN: &str = "<TOKEN>";

/// The headers of an answer that are compared.
const HEADERS: [&str; 3] = [
    "cache-control",
    "access-control-allow-origin",
    "content-type",
];

/// One scenario.
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) steps: Vec<HandlerFuture>,
}

/// One request, or its relation to others.
#[derive(Clone, Debug)]
pub(super) enum HandlerFuture {
    /// A request and its answer.
    Do(Exchange),
    /// A request whose answer comes at [`HandlerFuture::Finish`].
    Start(Exchange),
    /// The started request has no answer yet.
    Waits,
    /// The answers to the started requests, whichever of them arrived first.
    Finish,
    /// The same request again and again, until it is answered like this.
    Until(Exchange),
    /// Real time must pass.
    Pause(Duration),
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) request: Http,
    /// The body of the answer: JSON, `{"token": …}` stands for any token.
    pub(super) body: Value,
    pub(super) headers: Vec<(String, String)>,
    /// The least time that it takes.
    pub(super) least: Duration,
}

#[derive(Deserialize)]
struct File {
    scenarios: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    name: String,
    steps: Vec<Map<String, Value>>,
}

/// All scenarios, in the order of the file.
pub(super) fn all() -> Outcome<Vec<Scenario>> {
    let file: File = serde_json::from_str(FILE).map_err(|error| error.to_string())?;
    let mut scenarios = Vec::new();
    for Raw { name, steps } in file.scenarios {
        let requests = steps.iter().filter(|step| step["client"] == "http");
        let steps = requests.map(read).collect::<Outcome<Vec<_>>>();
        let steps = steps.map_err(|error| format!("{name}: {error}"))?;
        let steps = steps.into_iter().map(HandlerFuture::Do).collect();
        let mut scenario = Scenario { name, steps };
        scenario.fill_in();
        scenarios.push(scenario);
    }
    Ok(scenarios)
}

impl Scenario {
    /// Adds the events besides the recorded requests.
    fn fill_in(&mut self) {
        let steps = &mut self.steps;
        let last = steps.len() - 1;
        match (self.name.as_str(), steps[last].clone()) {
            ("lp: poll wakes on message", HandlerFuture::Do(poll)) => {
                let broadcast =
                    HandlerFuture::Do(outside("/broadcast?topic=room:lpw&event=ev", "{}"));
                let pause = HandlerFuture::Pause(Duration::from_millis(300));
                let poll = HandlerFuture::Start(poll);
                steps.splice(
                    last..,
                    [
                        poll,
                        pause,
                        HandlerFuture::Waits,
                        broadcast,
                        HandlerFuture::Finish,
                    ],
                );
            }
            ("lp: two concurrent polls", HandlerFuture::Do(poll)) => {
                let in_vain = json!({"status": 204, "token": "", "messages": []});
                let first = Exchange {
                    body: in_vain,
                    least: Duration::from_millis(1990),
                    ..poll.clone()
                };
                let heartbeat = publish("/idle", &[r#"[null,"hb","phoenix","heartbeat",{}]"#]);
                steps.splice(
                    last..,
                    [
                        HandlerFuture::Start(first),
                        HandlerFuture::Start(poll),
                        HandlerFuture::Do(heartbeat),
                        HandlerFuture::Finish,
                    ],
                );
            }
            // The time in which the session expires was not recorded.
            ("lp: session expiry", _) => {
                if let HandlerFuture::Do(publish) = steps[1].clone() {
                    steps[1] = HandlerFuture::Until(publish);
                }
            }
            _ => {}
        }
    }
}

/// Publishes frames in a batch, with the answer of a success.
pub(super) fn publish(socket: &str, frames: &[&str]) -> Exchange {
    let mut exchange = outside(&format!("{socket}/longpoll?vsn=2.0.0&token={TOKEN}"), "");
    let content_type = ("content-type".to_owned(), "application/x-ndjson".to_owned());
    exchange.request.headers = vec![content_type];
    exchange.request.request_body = frames.join("\n").into_bytes();
    exchange.body = json!({"status": 200});
    exchange
}

/// Polls `/socket`, and gets these messages.
pub(super) fn polled(messages: &[impl AsRef<str>]) -> Exchange {
    let mut exchange = outside(&format!("/socket/longpoll?vsn=2.0.0&token={TOKEN}"), "");
    exchange.request.method = "GET".to_owned();
    let messages: Vec<_> = messages.iter().map(AsRef::as_ref).collect();
    exchange.body = json!({"status": 200, "token": "", "messages": messages});
    exchange
}

/// Creates a request without a recording.
fn outside(path: &str, body: &str) -> Exchange {
    Exchange {
        request: Http {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            request_body: body.as_bytes().to_vec(),
            status: 200,
            body: None,
        },
        body: json!("ok"),
        headers: Vec::new(),
        least: Duration::ZERO,
    }
}

fn read(step: &Map<String, Value>) -> Outcome<Exchange> {
    let word = |key| step.get(key).and_then(Value::as_str);
    let number = |key| step.get(key).and_then(Value::as_u64);
    let path = word("path").ok_or("no `path`")?.to_owned();
    let status = number("status").ok_or("no `status`")?;
    let body = match (step.get("body_json"), word("body")) {
        (Some(json), _) => json.clone(),
        (None, Some(text)) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        (None, None) => return Err("no body".to_owned()),
    };
    let counts = |(name, _): &(String, String)| {
        path.contains("/longpoll") && HEADERS.contains(&name.as_str())
    };
    let headers = pairs(step, "response_headers").into_iter().filter(counts);
    // A poll without a message takes its window.
    let waited = body["status"] == 204;
    let took = number("took_ms").filter(|_| waited).unwrap_or(0);
    Ok(Exchange {
        headers: headers.collect(),
        request: Http {
            method: word("method").ok_or("no `method`")?.to_owned(),
            path,
            headers: pairs(step, "request_headers"),
            request_body: word("request_body").unwrap_or_default().into(),
            status: u16::try_from(status).map_err(|error| error.to_string())?,
            body: None,
        },
        body,
        least: Duration::from_millis(took).saturating_sub(Duration::from_millis(10)),
    })
}

fn pairs(step: &Map<String, Value>, key: &str) -> Vec<(String, String)> {
    let pairs = step
        .get(key)
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}
