//! Plays the requests of a client that polls.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::recording::{Exchange, HandlerFuture, Scenario, TOKEN};
use crate::{
    Outcome,
    server::{self, Answer, PATIENCE, Server},
};

/// Plays all steps. Returns the step that differed, and how.
pub(super) async fn play(scenario: &Scenario, server: &Server) -> Outcome<()> {
    let mut player = Player {
        address: server.address.clone(),
        token: String::new(),
        started: Vec::new(),
    };
    for (at, step) in scenario.steps.iter().enumerate() {
        let played = player.step(step).await;
        played.map_err(|got| {
            let expected: String = format!("{step:?}").chars().take(600).collect();
            let name = &scenario.name;
            format!(
                "{name:?}, step {}\n  expected {expected}\n  got      {got}",
                at + 1
            )
        })?;
    }
    Ok(())
}

struct Player {
    address: String,
    /// The token of its first session.
    token: String,
    started: Vec<(Exchange, JoinHandle<Outcome<Timed>>)>,
}

/// An answer, and the time that it took.
type Timed = (Answer, Duration);

impl Player {
    async fn step(&mut self, step: &HandlerFuture) -> Outcome<()> {
        match step {
            HandlerFuture::Do(exchange) => self.do_it(exchange).await,
            HandlerFuture::Start(exchange) => {
                let (address, sent) = (self.address.clone(), exchange.clone());
                let token = self.token.clone();
                let begun = tokio::spawn(async move { ask(&address, &sent, &token).await });
                self.started.push((exchange.clone(), begun));
                Ok(())
            }
            HandlerFuture::Waits => match self.started.iter().any(|(_, begun)| begun.is_finished())
            {
                true => Err("an answer already".to_owned()),
                false => Ok(()),
            },
            HandlerFuture::Finish => self.finish().await,
            HandlerFuture::Until(exchange) => {
                let again = async { while self.do_it(exchange).await.is_err() {} };
                let answered = timeout(PATIENCE, again).await;
                answered.map_err(|_| "something else, again and again".to_owned())
            }
            HandlerFuture::Pause(time) => {
                sleep(*time).await;
                Ok(())
            }
        }
    }

    async fn do_it(&mut self, exchange: &Exchange) -> Outcome<()> {
        let answer = ask(&self.address, exchange, &self.token).await?;
        self.token = check(exchange, &answer, self.token.clone())?;
        Ok(())
    }

    async fn finish(&mut self) -> Outcome<()> {
        let (mut expected, mut answers) = (Vec::new(), Vec::new());
        for (exchange, begun) in self.started.drain(..) {
            answers.push(begun.await.map_err(|error| error.to_string())??);
            expected.push(exchange);
        }
        for answer in &answers {
            let fits = |exchange: &Exchange| check(exchange, answer, self.token.clone()).is_ok();
            let at = expected.iter().position(fits);
            expected.remove(at.ok_or_else(|| format!("{answers:?}"))?);
        }
        Ok(())
    }
}

/// Makes a request with a token.
async fn ask(address: &str, exchange: &Exchange, token: &str) -> Outcome<Timed> {
    let mut http = exchange.request.clone();
    http.path = http.path.replace(TOKEN, token);
    let started = Instant::now();
    let answer = server::request(address, &http).await?;
    Ok((answer, started.elapsed()))
}

/// Checks an answer, and returns the token for the next request.
fn check(exchange: &Exchange, (answer, took): &Timed, token: String) -> Outcome<String> {
    if *took < exchange.least {
        return Err(format!("an answer after {took:?} already"));
    }
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let got = || format!("HTTP {} {:?} {body}", answer.status, answer.headers);
    let mut json = serde_json::from_str(&body).unwrap_or_else(|_| Value::String(body.clone()));
    let mut expected = exchange.body.clone();
    let given = [&mut expected, &mut json].map(|json| json.as_object_mut()?.remove("token"));
    let messages = [&mut expected, &mut json].map(take_messages);
    let same_headers = exchange.headers.iter().all(|(name, value)| {
        let got = answer.header(name);
        got == Some(value)
    });
    let fits = answer.status == exchange.request.status
        && expected == json
        && messages[0] == messages[1]
        && same_headers;
    let next = match (&given[0], &given[1]) {
        // Only a session that has just been opened has another token; the recorded client goes on
        // with its first one.
        (Some(_), Some(Value::String(new))) if (json["status"] == 410) != (*new == token) => {
            Some(if token.is_empty() { new.clone() } else { token })
        }
        (None, None) => Some(token),
        _ => None,
    };
    next.filter(|_| fits).ok_or_else(got)
}

/// Removes and returns the messages, parsed if they are JSON.
fn take_messages(answer: &mut Value) -> Option<Vec<Value>> {
    let messages = answer.as_object_mut()?.remove("messages")?;
    let messages = messages.as_array()?.iter().map(|message| {
        let text = message.as_str().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_else(|_| message.clone())
    });
    Some(messages.collect())
}
