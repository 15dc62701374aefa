//! The HTTP interface that acts on the room from outside: broadcasts, disconnects, drains.

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
    routing::post,
};
use channel_runtime::{Endpoint, Payload};
use serde::Deserialize;

/// The answer to a request: a text, or a status with the reason.
type Answer = Result<&'static str, (StatusCode, String)>;

/// Returns the routes besides the sockets' own.
pub(crate) fn routes(endpoint: Endpoint) -> Router {
    Router::new()
        .route("/broadcast", post(broadcast))
        .route("/disconnect", post(disconnect))
        .route("/drain", post(drain))
        .fallback(async || (StatusCode::NOT_FOUND, "not found"))
        .with_state(endpoint)
}

#[derive(Deserialize)]
struct Target {
    topic: String,
    event: String,
    /// `1` when the body is bytes rather than JSON.
    bin: Option<u8>,
}

/// `POST /broadcast?topic=T&event=E`: broadcasts the body to all subscribers of the topic.
async fn broadcast(
    State(endpoint): State<Endpoint>,
    Query(to): Query<Target>,
    body: Bytes,
) -> Answer {
    let payload = match to.bin {
        Some(1) => Payload::binary(body),
        _ => json(&body)?,
    };
    let sent = endpoint.broadcast_raw(to.topic, to.event, payload).await;
    sent.map_err(failed)?;
    Ok("ok")
}

fn json(body: &[u8]) -> Result<Payload, (StatusCode, String)> {
    let refuse = |why: String| (StatusCode::BAD_REQUEST, why);
    let text = std::str::from_utf8(body).map_err(|error| refuse(error.to_string()))?;
    Payload::from_json_text(text).map_err(|error| refuse(error.to_string()))
}

#[derive(Deserialize)]
struct Connections {
    id: String,
}

/// `POST /disconnect?id=users:NAME`: ends every connection of that id.
async fn disconnect(
    State(endpoint): State<Endpoint>,
    Query(connections): Query<Connections>,
) -> Answer {
    let told = endpoint.disconnect(&connections.id).await;
    told.map_err(failed)?;
    Ok("ok")
}

#[derive(Deserialize)]
struct Drained {
    topic: String,
}

/// `POST /drain?topic=T`: broadcasts `phx_drain`, an event like any other to the clients.
async fn drain(State(endpoint): State<Endpoint>, Query(drained): Query<Drained>) -> Answer {
    let sent = endpoint
        .broadcast_raw(drained.topic, "phx_drain", Payload::empty())
        .await;
    sent.map_err(failed)?;
    Ok("ok")
}

fn failed(error: channel_runtime::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
