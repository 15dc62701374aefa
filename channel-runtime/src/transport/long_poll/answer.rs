//! The answers to requests: JSON, with the authoritative status in it.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::{connection::ConnectError, protocol::Frame};

/// The statuses that clients know.
pub(super) mod status {
    pub(in super::super) const OK: u16 = 200;
    /// The poll timed out without a message.
    pub(in super::super) const NO_CONTENT: u16 = 204;
    pub(in super::super) const BAD_REQUEST: u16 = 400;
    pub(in super::super) const FORBIDDEN: u16 = 403;
    pub(in super::super) const TIMEOUT: u16 = 408;
    /// There is no such session; the answer to a poll carries the token of a new one.
    pub(in super::super) const GONE: u16 = 410;
    pub(in super::super) const TOO_LARGE: u16 = 413;
    /// Makes clients retry.
    pub(in super::super) const ERROR: u16 = 500;
}

/// The answer to a poll.
#[derive(Serialize)]
struct Polled<'a> {
    status: u16,
    token: &'a str,
    messages: &'a RawValue,
}

/// The answer to anything else.
#[derive(Serialize)]
struct Status {
    status: u16,
}

#[derive(Debug)]
#[repr(transparent)]
struct Message(Frame);

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Frame::Text(text) => serializer.serialize_str(text),
            Frame::Binary(bytes) => serializer.serialize_str(&BASE64.encode(bytes)),
        }
    }
}

pub(super) fn polled(status: u16, token: &str, frames: Vec<Frame>) -> Response {
    polled_raw(status, token, &messages(frames))
}

/// As [`polled`], with messages that another node has encoded.
pub(super) fn polled_raw(status: u16, token: &str, messages: &RawValue) -> Response {
    let answer = Polled {
        status,
        token,
        messages,
    };
    json(StatusCode::OK, &answer)
}

/// Encodes the messages of an answer.
pub(super) fn messages(frames: Vec<Frame>) -> Box<RawValue> {
    let messages: Vec<_> = frames.into_iter().map(Message).collect();
    // Strings always serialize.
    to_raw_value(&messages).unwrap_or_default()
}

pub(super) fn status(status: u16) -> Response {
    let http = match status {
        status::TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        status::ERROR => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    json(http, &Status { status })
}

/// Returns the answer to a refused client. Proxies and people read the HTTP status; the official
/// client reads only the one in the body, where it knows only 403 and 500.
pub(super) fn refused(error: &ConnectError) -> Response {
    let (http, status) = match error.status() {
        StatusCode::FORBIDDEN => (StatusCode::OK, status::FORBIDDEN),
        StatusCode::BAD_REQUEST => (StatusCode::BAD_REQUEST, status::BAD_REQUEST),
        other => (other, status::ERROR),
    };
    json(http, &Status { status })
}

/// Answers a browser's CORS preflight, which precedes the real request of a page of another origin.
pub(super) fn preflight(request: &HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    for asked in request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    // Numbers and strings always serialize.
    let body = serde_json::to_vec(answer).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (status, headers, body).into_response()
}
