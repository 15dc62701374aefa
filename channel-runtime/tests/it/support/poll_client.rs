//! A client that passes its requests to the router, without a network.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use channel_runtime::Endpoint;
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const NDJSON: &str = "application/x-ndjson";

/// An answer: the HTTP status, and its JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn status(&self) -> u64 {
        self.json["status"].as_u64().unwrap_or_default()
    }

    pub(crate) fn token(&self) -> &str {
        self.json["token"].as_str().unwrap()
    }

    /// Returns the messages as they came: strings.
    pub(crate) fn texts(&self) -> Vec<String> {
        serde_json::from_value(self.json["messages"].clone()).unwrap()
    }

    pub(crate) fn messages(&self) -> Vec<Value> {
        let texts = self.texts().into_iter();
        texts
            .map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
            .collect()
    }
}

/// One client, with the token of its session.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) app: Router,
    pub(crate) path: &'static str,
    pub(crate) token: String,
}

impl Client {
    /// Opens a session at `/socket` with version 2.
    pub(crate) async fn open(endpoint: &Endpoint) -> Client {
        Client::open_at(endpoint.router(), "/socket", "vsn=2.0.0").await
    }

    pub(crate) async fn open_at(app: Router, path: &'static str, query: &str) -> Client {
        let answer = get(&app, &format!("{path}/longpoll?{query}"), None).await;
        assert_eq!((answer.http, answer.status()), (StatusCode::OK, 410));
        assert_eq!(answer.json["messages"], json!([]));
        let token = answer.token().to_owned();
        Client { app, path, token }
    }

    /// Polls like an old client: with the token in the query.
    pub(crate) async fn poll(&self) -> Answer {
        let Client { app, path, token } = self;
        get(
            app,
            &format!("{path}/longpoll?vsn=2.0.0&token={token}"),
            None,
        )
        .await
    }

    /// Polls like a new client: with the token in a header.
    pub(crate) async fn poll_by_header(&self) -> Answer {
        let uri = format!("{}/longpoll?vsn=2.0.0", self.path);
        get(&self.app, &uri, Some(&self.token)).await
    }

    /// Returns the messages of a poll, which must have some.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        let answer = self.poll().await;
        assert_eq!((answer.status(), answer.token()), (200, &*self.token));
        answer.messages()
    }

    /// Returns exactly this many messages, in as many polls as it takes.
    pub(crate) async fn take(&self, count: usize) -> Vec<Value> {
        let mut messages = Vec::new();
        while messages.len() < count {
            messages.extend(self.messages().await);
        }
        assert_eq!(messages.len(), count, "{messages:?}");
        messages
    }

    pub(crate) fn request(&self, content_type: &str, body: impl Into<Body>) -> Request<Body> {
        let uri = format!("{}/longpoll?vsn=2.0.0&token={}", self.path, self.token);
        let request = Request::post(uri).header("content-type", content_type);
        request.body(body.into()).unwrap()
    }

    pub(crate) async fn post(&self, content_type: &str, body: impl Into<Body>) -> Answer {
        send(&self.app, self.request(content_type, body)).await
    }

    /// Publishes frames, one per line, and returns the status.
    pub(crate) async fn publish(&self, frames: &[Value]) -> u64 {
        let lines: Vec<_> = frames.iter().map(Value::to_string).collect();
        self.post(NDJSON, lines.join("\n")).await.status()
    }

    pub(crate) async fn join(&self, topic: &str) {
        let join = json!(["1", "1", topic, "phx_join", {}]);
        assert_eq!(self.publish(&[join]).await, 200);
        assert_eq!(self.messages().await, [reply("1", topic, "ok", json!({}))]);
    }

    pub(crate) async fn heartbeat(&self) -> u64 {
        self.publish(&[json!([null, "hb", "phoenix", "heartbeat", {}])])
            .await
    }

    /// Checks that its session still works.
    pub(crate) async fn lives(&self) {
        assert_eq!(self.heartbeat().await, 200);
        let expected =
            json!([null, "hb", "phoenix", "phx_reply", {"status": "ok", "response": {}}]);
        assert_eq!(self.messages().await, [expected]);
    }
}

/// Returns the reply to a message of join 1.
pub(crate) fn reply(reference: &str, topic: &str, status: &str, response: Value) -> Value {
    json!(["1", reference, topic, "phx_reply", {"status": status, "response": response}])
}

pub(crate) async fn get(app: &Router, uri: &str, token: Option<&str>) -> Answer {
    let mut request = Request::get(uri);
    if let Some(token) = token {
        request = request.header("x-phoenix-longpoll-token", token);
    }
    send(app, request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        http: parts.status,
        headers: parts.headers,
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}
