//! The page, and what other systems ask and tell over HTTP.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use channel_runtime::{Endpoint, Error};
use serde::Deserialize;

use crate::{
    channel::{CountUnread, MarkRead, Price, product_topic},
    directory::Directory,
};

#[derive(Clone)]
struct App {
    endpoint: Endpoint,
    directory: Directory,
}

#[derive(Deserialize)]
struct Offer {
    cents: u64,
}

pub(crate) fn routes(endpoint: Endpoint, directory: Directory) -> Router {
    Router::new()
        .route(
            "/",
            get(|| async { Html(include_str!("../static/index.html")) }),
        )
        .route("/phoenix.js", get(phoenix))
        .route("/products/{product}/price", post(offer))
        .route("/users/{user}/unread", get(unread).delete(mark_read))
        .route(
            "/users/{user}/connections",
            axum::routing::delete(disconnect),
        )
        .with_state(App {
            endpoint,
            directory,
        })
}

/// The official Phoenix client, as the chat example carries it.
async fn phoenix() -> Response {
    let script = include_str!("../../chat/static/vendor/phoenix.min.js");
    ([(header::CONTENT_TYPE, "text/javascript")], script).into_response()
}

/// A price from anywhere reaches whoever watches the product.
async fn offer(
    State(app): State<App>,
    Path(product): Path<String>,
    Json(Offer { cents }): Json<Offer>,
) -> Result<StatusCode, StatusCode> {
    let topic = product_topic(&product);
    let sent = app
        .endpoint
        .broadcast(topic, &Price { product, cents })
        .await;
    sent.map(|()| StatusCode::NO_CONTENT)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn unread(
    State(app): State<App>,
    Path(user): Path<String>,
) -> Result<Json<usize>, (StatusCode, String)> {
    let channel = app
        .directory
        .find(&user)
        .ok_or_else(|| gone(Error::ChannelEnded))?;
    channel.call(CountUnread).await.map(Json).map_err(gone)
}

async fn mark_read(
    State(app): State<App>,
    Path(user): Path<String>,
) -> Result<StatusCode, (StatusCode, String)> {
    let channel = app
        .directory
        .find(&user)
        .ok_or_else(|| gone(Error::ChannelEnded))?;
    channel
        .cast(MarkRead)
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(gone)
}

async fn disconnect(State(app): State<App>, Path(user): Path<String>) -> StatusCode {
    match app.endpoint.disconnect(&format!("users:{user}")).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn gone(error: Error) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, error.to_string())
}
