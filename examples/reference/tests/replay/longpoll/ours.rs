//! The answers to clients that poll which differ from the recordings, each with its reason, by
//! name.

use serde_json::{Value, json};

use super::recording::{Exchange, HandlerFuture, Scenario, polled, publish};
use crate::Outcome;

/// The difference of a scenario from its recording.
enum Change {
    /// The answer to this step, counted from 1, has another status and body.
    Answer(usize, u16, Value),
    /// From this step on, counted from 1, it goes on like this.
    From(usize, Vec<Exchange>),
}

use Change::{Answer, From};

const BINARY: &str = "a binary payload is base64 in JSON, and loses no other message; the original \
                      puts the frame's bytes into a string, or fails where they are no UTF-8";
const AT_ONCE: &str = "what cannot be read is answered at once with 400 in the body; the original \
                       fails, or lets the client wait";
const HEARTBEAT: &str = r#"[null,"hb","phoenix","heartbeat",{}]"#;

/// Returns every scenario that differs: its name, the reason, and the change.
fn table() -> Vec<(&'static str, &'static str, Change)> {
    let heartbeats: Vec<_> = (0..100)
        .map(|n| HEARTBEAT.replace("\"hb\"", &format!("\"{n}\"")))
        .collect();
    let heartbeats: Vec<_> = heartbeats.iter().map(String::as_str).collect();
    let too_many = publish("/socket", &[&heartbeats[..], &[HEARTBEAT; 20]].concat());
    let too_many = Exchange {
        body: json!({"status": 413}),
        request: crate::recording::Http {
            status: 413,
            ..too_many.request
        },
        ..too_many
    };
    let answer =
        |n| format!(r#"[null,"{n}","phoenix","phx_reply",{{"status":"ok","response":{{}}}}]"#);
    let echo = |bytes| {
        let reply = format!(r#"{{"status":"ok","response":{{"base64":"{bytes}"}}}}"#);
        format!(r#"["1","2","room:lobby","phx_reply",{reply}]"#)
    };
    let answers: Vec<_> = (0..100).map(answer).collect();
    let pong = r#"{"topic":"room:1","event":"phx_reply","ref":"2","payload":{"status":"ok","response":{}}}"#;
    vec![
        (
            "lp: binary reply over longpoll",
            BINARY,
            From(5, vec![polled(&[echo("QUI=")])]),
        ),
        (
            "lp: binary reply with non-utf8 bytes",
            BINARY,
            From(5, vec![polled(&[echo("//4=")])]),
        ),
        (
            "lp: bad base64",
            AT_ONCE,
            Answer(2, 200, json!({"status": 400})),
        ),
        (
            "lp: malformed json",
            AT_ONCE,
            Answer(2, 200, json!({"status": 400})),
        ),
        (
            "lp: v1",
            "a batch may hold frames of version 1; the original takes them for base64",
            From(
                4,
                vec![
                    publish(
                        "/socket",
                        &[r#"{"topic":"room:1","event":"ping","payload":{},"ref":"2"}"#],
                    ),
                    polled(&[pong]),
                ],
            ),
        ),
        (
            "lp: batch of more than 100 frames",
            "a batch of more than 100 frames is refused whole; the original drops the rest and \
             says nothing",
            From(
                2,
                vec![too_many, publish("/socket", &heartbeats), polled(&answers)],
            ),
        ),
    ]
}

/// Applies the changes to the scenarios, and returns the number of changed ones.
pub(super) fn apply(scenarios: &mut [Scenario]) -> Outcome<usize> {
    let table = table();
    let count = table.len();
    for (name, reason, change) in table {
        println!("as ours: {name:?}: {reason}");
        let mut named = scenarios
            .iter_mut()
            .filter(|scenario| scenario.name == name);
        let (Some(scenario), None) = (named.next(), named.next()) else {
            return Err(format!("{name:?} is not recorded exactly once"));
        };
        let changed = change.apply(&mut scenario.steps);
        changed.map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(count)
}

impl Change {
    fn apply(self, steps: &mut Vec<HandlerFuture>) -> Outcome<()> {
        match self {
            Answer(at, status, body) => {
                let Some(HandlerFuture::Do(exchange)) = steps.get_mut(at - 1) else {
                    return Err(format!("step {at} is no request"));
                };
                if exchange.body == body {
                    return Err("nothing in it differs".to_owned());
                }
                exchange.request.status = status;
                exchange.body = body;
                // The other recorded headers belong to a failure.
                exchange.headers.retain(|(name, _)| name == "content-type");
                Ok(())
            }
            From(first, _) if first > steps.len() => Err(format!("there is no step {first}")),
            From(first, ours) => {
                steps.truncate(first - 1);
                steps.extend(ours.into_iter().map(HandlerFuture::Do));
                Ok(())
            }
        }
    }
}
