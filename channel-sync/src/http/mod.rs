//! The protocol of Electric's clients over HTTP.

mod params;
mod respond;
mod sse;

use crate::engine::{Engine, Shape, Stage, Waiting};
use crate::log::Read;
use crate::offset::Offset;
use crate::shape::Definition;
use crate::source::{Query, SourceError};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Request as HttpRequest, Response, StatusCode, header};
use futures_util::StreamExt;
use params::{Errors, Invalid, Params, Request, Start, Subset};
use respond::{Cache, Reply, cross_origin, json};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The most bytes of a POST's body.
const MAX_BODY: usize = 1024 * 1024;

/// How long the client is asked to wait after a 503.
const RETRY_AFTER: &str = "5";

/// Messages of the protocol.
const MUST_REFETCH: &str = r#"[{"headers":{"control":"must-refetch"}}]"#;
const MISMATCH: &str = "The specified shape definition and handle do not match. Please ensure the \
                        shape definition is correct or omit the shape handle from the request to \
                        obtain a new one.";

pub(crate) fn router(engine: Arc<Engine>) -> Router {
    Router::new().fallback(handle).with_state(engine)
}

async fn handle(State(engine): State<Arc<Engine>>, request: HttpRequest<Body>) -> Response<Body> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let asked = request
        .headers()
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .cloned();
    let (head, shape) = (
        request.method() == Method::HEAD,
        request.uri().path() == "/v1/shape",
    );
    let preflight = request.method() == Method::OPTIONS;
    let mut response = route(&engine, request).await;
    let shape = shape && response.status() != StatusCode::NOT_FOUND;
    cross_origin(&mut response, origin, asked.filter(|_| preflight), shape);
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn route(engine: &Arc<Engine>, request: HttpRequest<Body>) -> Response<Body> {
    let params = Params::parse(request.uri().query().unwrap_or(""));
    let method = request.method().clone();
    match (request.uri().path(), &method) {
        ("/", &Method::GET | &Method::HEAD) => respond::plain(StatusCode::OK, ""),
        ("/v1/health", &Method::GET | &Method::HEAD) => {
            let (status, text) = match engine.follow().await {
                Ok(()) if engine.source.health().await.connected => (StatusCode::OK, "active"),
                _ => (StatusCode::ACCEPTED, "waiting"),
            };
            let body = serde_json::json!({ "status": text }).to_string();
            json(status, "no-cache, no-store, must-revalidate", body)
        }
        ("/v1/shape", &Method::OPTIONS) => respond::no_content(),
        ("/v1/shape", &Method::GET | &Method::HEAD | &Method::POST | &Method::DELETE) => {
            if !authorized(engine, &params) {
                let body = r#"{"message":"Unauthorized - Invalid API secret"}"#;
                return json(StatusCode::UNAUTHORIZED, respond::PRIVATE, body);
            }
            let answer = match method {
                Method::DELETE => delete(engine, &params).await,
                Method::POST => post(engine, &params, request).await,
                _ => get(engine, &params, request).await,
            };
            let cache = if method == Method::DELETE {
                Some("no-cache")
            } else {
                None
            };
            answer.unwrap_or_else(|invalid| refused(invalid, cache))
        }
        _ => respond::plain(StatusCode::NOT_FOUND, "Not found"),
    }
}

/// Compared without telling by the time how much of it is right.
fn authorized(engine: &Engine, params: &Params) -> bool {
    let Some(secret) = &engine.config.secret else {
        return true;
    };
    let given = params
        .get("secret")
        .or_else(|| params.get("api_secret"))
        .unwrap_or("");
    let (secret, given) = (secret.as_bytes(), given.as_bytes());
    let differ = secret.iter().enumerate().fold(0, |sum, (i, byte)| {
        sum | (byte ^ given.get(i).copied().unwrap_or(!byte))
    });
    differ == 0 && secret.len() == given.len()
}

fn refused(invalid: Invalid, cache: Option<&'static str>) -> Response<Body> {
    let (status, body) = match invalid {
        Invalid::Fields(errors) => {
            let body = serde_json::json!({ "message": "Invalid request", "errors": errors });
            (StatusCode::BAD_REQUEST, body)
        }
        Invalid::Source(SourceError::Evaluation(error)) => {
            let errors = serde_json::json!({ "where": [error.to_string()] });
            let body = serde_json::json!({ "message": "Invalid request", "errors": errors });
            (StatusCode::BAD_REQUEST, body)
        }
        Invalid::Source(SourceError::Unfit(why)) => {
            let errors = serde_json::json!({ "table": [why] });
            let body = serde_json::json!({ "message": "Invalid request", "errors": errors });
            (StatusCode::BAD_REQUEST, body)
        }
        Invalid::Source(error) => {
            let body = serde_json::json!({ "message": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, body)
        }
    };
    let mut response = json(status, cache.unwrap_or("no-store"), body.to_string());
    let headers = response.headers_mut();
    if cache.is_none() {
        headers.insert(
            "surrogate-control",
            header::HeaderValue::from_static("no-store"),
        );
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(
            header::RETRY_AFTER,
            header::HeaderValue::from_static(RETRY_AFTER),
        );
    }
    response
}

async fn delete(engine: &Arc<Engine>, params: &Params) -> Result<Response<Body>, Invalid> {
    if !engine.config.allow_delete {
        let body = r#"{"message":"DELETE not allowed"}"#;
        return Ok(json(StatusCode::METHOD_NOT_ALLOWED, "no-cache", body));
    }
    let handle = params.handle();
    let mismatch = || {
        let body = serde_json::json!({ "message": MISMATCH }).to_string();
        json(StatusCode::BAD_REQUEST, "no-cache", body)
    };
    let shape = match (params.has_table(), handle) {
        (false, None) => {
            let message = "can't be blank when shape definition is missing";
            return Err(Errors::one("handle", message));
        }
        (false, Some(handle)) => match engine.by_handle(handle) {
            Some(shape) => Some(shape),
            None => return Ok(mismatch()),
        },
        (true, handle) => {
            let definition = params::read_shape(params, &engine.source).await?;
            let shape = engine.by_definition(&definition);
            if let Some(handle) = handle
                && shape.as_ref().is_none_or(|shape| shape.handle != handle)
            {
                return Ok(mismatch());
            }
            shape
        }
    };
    if let Some(shape) = shape {
        engine.delete(&shape);
    }
    Ok(respond::deleted())
}

async fn post(
    engine: &Arc<Engine>,
    params: &Params,
    request: HttpRequest<Body>,
) -> Result<Response<Body>, Invalid> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        let body = r#"{"message":"Request body too large"}"#;
        return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, respond::PRIVATE, body));
    };
    let fields = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(&body) {
            Ok(Json::Object(fields)) => fields,
            Ok(_) => return Ok(broken("an object is expected")),
            // The parser's own words are not for clients.
            Err(_) => return Ok(broken("it is not JSON")),
        }
    };
    let mut response = shape(engine, params, &fields, &parts.headers, false).await?;
    if response.status().is_success() {
        let cache = header::HeaderValue::from_static("no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, cache);
    }
    Ok(response)
}

fn broken(details: &str) -> Response<Body> {
    let body = serde_json::json!({ "error": "Invalid JSON in request body", "details": details });
    json(StatusCode::BAD_REQUEST, respond::PRIVATE, body.to_string())
}

async fn get(
    engine: &Arc<Engine>,
    params: &Params,
    request: HttpRequest<Body>,
) -> Result<Response<Body>, Invalid> {
    shape(engine, params, &params.subset(), request.headers(), true).await
}

async fn shape(
    engine: &Arc<Engine>,
    params: &Params,
    fields: &Map<String, Json>,
    headers: &header::HeaderMap,
    conditional: bool,
) -> Result<Response<Body>, Invalid> {
    let (request, definition, subset) = params::read(params, fields, &engine.source).await?;
    engine.follow().await?;
    let shape = engine.shape(definition);
    if let Start::After(_) = request.start
        && request.handle.as_deref() != Some(&*shape.handle)
    {
        return Ok(respond::must_refetch(Some(&shape.handle)));
    }
    // Subscribe before reading the log, so that no change in between is missed.
    let stage = shape.watch();
    let call = Call {
        engine,
        shape,
        request,
        params,
        stage,
    };
    if !call.ready().await? {
        return call.rotated().await;
    }
    match subset {
        Some(subset) => call.subset(subset).await,
        None => {
            let matching = headers.get(header::IF_NONE_MATCH).filter(|_| conditional);
            call.answer(matching).await
        }
    }
}

struct Call<'a> {
    engine: &'a Arc<Engine>,
    shape: Arc<Shape>,
    request: Request,
    params: &'a Params,
    stage: watch::Receiver<Stage>,
}

impl Call<'_> {
    /// Waits for the snapshot. `false` when the shape ended.
    async fn ready(&self) -> Result<bool, Invalid> {
        let mut stage = self.stage.clone();
        let wait = stage.wait_for(|stage| *stage != Stage::Creating);
        let Ok(stage) = tokio::time::timeout(self.engine.config.snapshot_timeout, wait).await
        else {
            let text = "the snapshot is not ready yet";
            return Err(SourceError::Unavailable(text.into()).into());
        };
        match stage.as_deref() {
            Ok(Stage::Failed(error)) => Err(error.clone().into()),
            Ok(Stage::Live(_)) => Ok(true),
            _ => Ok(false),
        }
    }

    /// The shape has ended: the answer names the one that took its place.
    async fn rotated(&self) -> Result<Response<Body>, Invalid> {
        let definition: Definition = params::read_shape(self.params, &self.engine.source).await?;
        let shape = self.engine.shape(definition);
        Ok(respond::must_refetch(Some(&shape.handle)))
    }

    async fn answer(
        mut self,
        matching: Option<&header::HeaderValue>,
    ) -> Result<Response<Body>, Invalid> {
        let after = match self.request.start {
            Start::Beginning => {
                let (body, end) = self.shape.first();
                return Ok(self.reply(Some(body), end, None, matching));
            }
            Start::Now => {
                let lsn = self.engine.lsn();
                return Ok(self.reply(None, self.shape.end(), Some(lsn), matching));
            }
            Start::After(offset) => offset,
        };
        if self.request.live {
            self.stage.borrow_and_update();
        }
        let lsn = self.engine.lsn();
        let read = match self.shape.read(after) {
            // A stream of events was told how far all shapes are, and goes on from there.
            Read::Beyond if after.tx <= lsn => Read::Nothing { end: after },
            read => read,
        };
        match read {
            Read::Messages { body, end, more } => {
                if self.request.sse {
                    return Ok(sse::stream(self.engine, &self.shape, &self.request, after));
                }
                let lsn = (!more).then_some(lsn);
                Ok(self.reply(Some(body), end, lsn, matching))
            }
            Read::Nothing { .. } if self.request.sse => {
                Ok(sse::stream(self.engine, &self.shape, &self.request, after))
            }
            Read::Nothing { .. } if self.request.live => self.wait(after).await,
            // A catch-up that found nothing says that it is up to date.
            Read::Nothing { end } => Ok(self.reply(Some(Bytes::new()), end, Some(lsn), matching)),
            Read::Beyond => self.beyond(after, matching).await,
        }
    }

    /// Holds a live request until there is something behind its offset.
    async fn wait(mut self, after: Offset) -> Result<Response<Body>, Invalid> {
        let _waiting = Waiting::new(self.engine);
        let deadline = tokio::time::Instant::now() + self.engine.config.poll_timeout;
        loop {
            match tokio::time::timeout_at(deadline, self.stage.changed()).await {
                Err(_) => {
                    let lsn = self.engine.lsn();
                    // Messages that arrive together with the timeout are sent now, not lost.
                    return Ok(match self.shape.read(after) {
                        Read::Messages { body, end, more } => {
                            self.reply(Some(body), end, (!more).then_some(lsn), None)
                        }
                        Read::Nothing { end } => self.reply(None, end, Some(lsn), None),
                        Read::Beyond => self.reply(None, after, Some(lsn), None),
                    });
                }
                Ok(Err(_)) => return self.rotated().await,
                Ok(Ok(())) => {}
            }
            if !matches!(*self.stage.borrow_and_update(), Stage::Live(_)) {
                return self.rotated().await;
            }
            let lsn = self.engine.lsn();
            if let Read::Messages { body, end, more } = self.shape.read(after) {
                return Ok(self.reply(Some(body), end, (!more).then_some(lsn), None));
            }
        }
    }

    /// An offset that the log has not reached may be one that another server has: it is waited for,
    /// half a poll long.
    async fn beyond(
        mut self,
        after: Offset,
        matching: Option<&header::HeaderValue>,
    ) -> Result<Response<Body>, Invalid> {
        let reached = self.stage.wait_for(|stage| match stage {
            Stage::Live(end) => *end >= after,
            _ => true,
        });
        let half: Duration = self.engine.config.poll_timeout / 2;
        let reached = match tokio::time::timeout(half, reached).await {
            Err(_) => return Err(Errors::one("offset", "out of bounds for this shape")),
            Ok(stage) => matches!(stage.as_deref(), Ok(Stage::Live(_))),
        };
        if !reached {
            return self.rotated().await;
        }
        let lsn = self.engine.lsn();
        match self.shape.read(after) {
            Read::Messages { body, end, more } => {
                Ok(self.reply(Some(body), end, (!more).then_some(lsn), matching))
            }
            Read::Nothing { .. } if self.request.live => self.wait(after).await,
            Read::Nothing { end } => Ok(self.reply(Some(Bytes::new()), end, Some(lsn), matching)),
            Read::Beyond => Err(Errors::one("offset", "out of bounds for this shape")),
        }
    }

    /// `messages` is `None` when there is nothing new; `lsn` is there when it is up to date.
    fn reply(
        &self,
        messages: Option<Bytes>,
        end: Offset,
        lsn: Option<u64>,
        matching: Option<&header::HeaderValue>,
    ) -> Response<Body> {
        let config = &self.engine.config;
        let cache = match self.request.start {
            Start::Beginning => Cache::Initial,
            _ if self.request.live => Cache::Live,
            _ => Cache::CatchUp,
        };
        let reply = Reply {
            config,
            shape: &self.shape,
            request: &self.request,
            end,
            // The log may have gone on after the position was read.
            lsn: lsn.map(|lsn| lsn.max(if end.op == u64::MAX { 0 } else { end.tx })),
            cache,
        };
        reply.response(messages, matching)
    }

    async fn subset(&self, subset: Subset) -> Result<Response<Body>, Invalid> {
        let definition = &self.shape.definition;
        let query = Query {
            relation: &definition.relation,
            filters: definition
                .predicate
                .as_deref()
                .into_iter()
                .chain(&subset.predicate)
                .collect(),
            order: subset.order.as_ref(),
            limit: subset.limit,
            offset: subset.offset,
        };
        let mut snapshot = match self.engine.source.snapshot(query).await {
            Err(SourceError::Altered) => return self.rotated().await,
            snapshot => snapshot?,
        };
        let mark = respond::random() >> 1;
        let mut data = String::from("[");
        while let Some(row) = snapshot.rows.next().await {
            if data.len() > 1 {
                data.push(',');
            }
            data.push_str(&definition.snapshot_message(&row?, Some(mark)));
            if data.len() > self.engine.config.max_shape_bytes {
                let text = "the subset has too many rows: ask for fewer by limit";
                return Err(SourceError::Unavailable(text.into()).into());
            }
        }
        data.push(']');
        // Rows of a table that was altered meanwhile are not those of this shape.
        let now = self
            .engine
            .source
            .relation(definition.relation.table.name())
            .await?;
        let same = now.is_some_and(|now| now == definition.relation || definition.survives(&now));
        if !same {
            return self.rotated().await;
        }
        let offset = match self.request.start {
            Start::Beginning => Offset { tx: 0, op: 0 },
            Start::Now => self.shape.end(),
            // The rows of the snapshot's chunks are in the subset.
            Start::After(Offset { tx: 0, .. }) => Offset::SNAPSHOT_END,
            Start::After(offset) => offset,
        };
        Ok(respond::subset(&self.shape, &snapshot, mark, &data, offset))
    }
}
