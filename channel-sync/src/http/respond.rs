//! Answers and their headers.

use super::MUST_REFETCH;
use super::params::Request;
use crate::config::Config;
use crate::engine::Shape;
use crate::offset::Offset;
use crate::source::Snapshot;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const PRIVATE: &str = "max-age=0, private, must-revalidate";
pub(super) const JSON: &str = "application/json; charset=utf-8";

/// 2024-10-09, from which cursors count.
const CURSOR_EPOCH: u64 = 1_728_432_000;

/// The headers that browsers let scripts read.
const EXPOSED: &str = "electric-cursor,electric-handle,electric-has-data,electric-offset,\
                       electric-schema,electric-snapshot,electric-up-to-date,\
                       electric-internal-known-error,etag,retry-after";

/// How long caches may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cache {
    Initial,
    CatchUp,
    Live,
    Sse,
}

impl Cache {
    pub(super) fn header(self, config: &Config) -> String {
        match self {
            Cache::Initial => {
                "public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746".into()
            }
            Cache::CatchUp => {
                let (age, stale) = (config.max_age, config.stale_age);
                format!("public, max-age={age}, stale-while-revalidate={stale}")
            }
            Cache::Live => "public, max-age=5, stale-while-revalidate=5".into(),
            Cache::Sse => {
                let seconds = config.sse_timeout.as_secs().saturating_sub(1);
                format!("public, max-age={seconds}")
            }
        }
    }
}

/// The answer with a part of the log.
pub(super) struct Reply<'a> {
    pub(super) config: &'a Config,
    pub(super) shape: &'a Shape,
    pub(super) request: &'a Request,
    pub(super) end: Offset,
    pub(super) lsn: Option<u64>,
    pub(super) cache: Cache,
}

impl Reply<'_> {
    pub(super) fn response(
        &self,
        messages: Option<Bytes>,
        matching: Option<&HeaderValue>,
    ) -> Response<Body> {
        let mut headers = self.headers(messages.is_some());
        // A live answer is never "not modified": its client waits for it.
        if !self.request.live
            && let (Some(etag), Some(given)) = (headers.get(header::ETAG), matching)
            && names(given, etag)
        {
            headers.remove("electric-schema");
            return build(StatusCode::NOT_MODIFIED, headers, Body::empty());
        }
        let messages = messages.unwrap_or_default();
        let mut body = Vec::with_capacity(messages.len() + 96);
        body.push(b'[');
        body.extend_from_slice(&messages);
        if let Some(lsn) = self.lsn {
            if !messages.is_empty() {
                body.push(b',');
            }
            body.extend_from_slice(up_to_date(lsn).as_bytes());
        }
        body.push(b']');
        build(StatusCode::OK, headers, Body::from(body))
    }

    pub(super) fn headers(&self, data: bool) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(24);
        let handle = &self.shape.handle;
        let unique = if data {
            String::new()
        } else {
            format!(":{}", random())
        };
        let etag = format!("\"{handle}:{}:{}{unique}\"", self.request.start, self.end);
        set(&mut headers, header::ETAG, &etag);
        set(
            &mut headers,
            header::CACHE_CONTROL,
            &self.cache.header(self.config),
        );
        set(&mut headers, header::VARY, "accept-encoding");
        let kind = if self.cache == Cache::Sse {
            "text/event-stream"
        } else {
            JSON
        };
        set(&mut headers, header::CONTENT_TYPE, kind);
        electric(&mut headers, "electric-handle", handle);
        electric(&mut headers, "electric-offset", &self.end.to_string());
        electric(
            &mut headers,
            "electric-has-data",
            if data { "true" } else { "false" },
        );
        if self.lsn.is_some() {
            electric(&mut headers, "electric-up-to-date", "");
        }
        if self.request.live {
            let cursor = cursor(self.config.poll_timeout, self.request.cursor);
            electric(&mut headers, "electric-cursor", &cursor.to_string());
        } else {
            schema(&mut headers, self.shape);
        }
        headers
    }
}

pub(super) fn up_to_date(lsn: u64) -> String {
    format!(r#"{{"headers":{{"control":"up-to-date","global_last_seen_lsn":"{lsn}"}}}}"#)
}

/// Returns true if `If-None-Match` names the entity: by its tag, not by `*`.
fn names(given: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(given), Ok(etag)) = (given.to_str(), etag.to_str()) else {
        return false;
    };
    given
        .split(',')
        .map(str::trim)
        .any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Returns the seconds rounded up to the poll's length, so that clients of the same moment request
/// the same URL. A client that has this cursor gets another, so that no cache answers it.
fn cursor(poll: Duration, given: Option<u64>) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let step = poll.as_secs().max(1);
    let cursor = now.saturating_sub(CURSOR_EPOCH).div_ceil(step) * step;
    match given {
        Some(given) if given >= cursor => given.saturating_add(u64::from(random() % 3600) + 1),
        _ => cursor,
    }
}

pub(super) fn random() -> u32 {
    getrandom::u32().unwrap_or_else(|_| {
        // Only caches depend on it.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        now.subsec_nanos()
    })
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn electric(headers: &mut HeaderMap, name: &'static str, value: &str) {
    set(headers, HeaderName::from_static(name), value);
}

fn schema(headers: &mut HeaderMap, shape: &Shape) {
    let definition = &shape.definition;
    let schema = definition
        .relation
        .table
        .schema_header(&definition.selected);
    // Names beyond ASCII are allowed in a header's bytes.
    if let Ok(value) = HeaderValue::from_bytes(schema.as_bytes()) {
        headers.insert("electric-schema", value);
    }
}

fn build(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

pub(super) fn stream(headers: HeaderMap, body: Body) -> Response<Body> {
    build(StatusCode::OK, headers, body)
}

pub(super) fn json(status: StatusCode, cache: &str, body: impl Into<Body>) -> Response<Body> {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::CACHE_CONTROL, cache);
    set(&mut headers, header::VARY, "accept-encoding");
    set(&mut headers, header::CONTENT_TYPE, JSON);
    build(status, headers, body.into())
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::CACHE_CONTROL, PRIVATE);
    set(&mut headers, header::VARY, "accept-encoding");
    build(status, headers, Body::from(text))
}

pub(super) fn no_content() -> Response<Body> {
    build(StatusCode::NO_CONTENT, HeaderMap::new(), Body::empty())
}

pub(super) fn deleted() -> Response<Body> {
    let mut response = json(StatusCode::ACCEPTED, "no-cache", Body::empty());
    electric(response.headers_mut(), "electric-has-data", "true");
    response
}

/// The client begins again, with the shape of this handle.
pub(super) fn must_refetch(handle: Option<&str>) -> Response<Body> {
    let age = if handle.is_some() { 60 } else { 1 };
    let cache = format!("public, max-age={age}, must-revalidate");
    let mut response = json(StatusCode::CONFLICT, &cache, MUST_REFETCH);
    if let Some(handle) = handle {
        let headers = response.headers_mut();
        electric(headers, "electric-handle", handle);
        set(headers, header::ETAG, &format!("\"{handle}::\""));
    }
    response
}

pub(super) fn subset(
    shape: &Shape,
    snapshot: &Snapshot,
    mark: u32,
    data: &str,
    offset: Offset,
) -> Response<Body> {
    let bounds = &snapshot.bounds;
    let xip: Vec<String> = bounds.xip.iter().map(u64::to_string).collect();
    let metadata = serde_json::json!({
        "xmin": bounds.xmin.to_string(),
        "xmax": bounds.xmax.to_string(),
        "xip_list": xip,
        "snapshot_mark": mark,
        "database_lsn": snapshot.lsn.to_string(),
    });
    let body = format!("{{\"metadata\":{metadata},\"data\":{data}}}");
    let mut response = json(StatusCode::OK, "no-cache", body);
    let headers = response.headers_mut();
    electric(headers, "electric-snapshot", "true");
    electric(headers, "electric-handle", &shape.handle);
    electric(headers, "electric-offset", &offset.to_string());
    schema(headers, shape);
    response
}

/// Headers by which pages of other origins may ask, also with `authorization`.
pub(super) fn cross_origin(
    response: &mut Response<Body>,
    origin: Option<HeaderValue>,
    asked: Option<HeaderValue>,
    shape: bool,
) {
    let headers = response.headers_mut();
    let origin = origin.unwrap_or_else(|| HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static(EXPOSED);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    let methods = if shape {
        "GET, POST, HEAD, DELETE, OPTIONS"
    } else {
        "GET, HEAD"
    };
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(methods),
    );
    if let Some(asked) = asked {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    if headers.get(header::CACHE_CONTROL).is_none() {
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("86400"),
        );
    }
}
