//! The page, and the HTTP interface for other systems.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use channel_runtime::{Endpoint, Error};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;

use crate::{
    channel::{CountUnread, MarkRead, Price, product_topic},
    directory::Directory,
};

#[derive(Clone)]
struct App {
    endpoint: Endpoint,
    directory: Directory,
    metrics: PrometheusHandle,
}

#[derive(Deserialize)]
struct Offer {
    cents: u64,
}

pub(crate) fn routes(
    endpoint: Endpoint,
    directory: Directory,
    metrics: PrometheusHandle,
) -> Router {
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
        .route("/metrics", get(scrape))
        .with_state(App {
            endpoint,
            directory,
            metrics,
        })
}

/// Returns the official Phoenix client, which the chat example carries.
async fn phoenix() -> Response {
    let script = include_str!("../../chat/static/vendor/phoenix.min.js");
    ([(header::CONTENT_TYPE, "text/javascript")], script).into_response()
}

/// Broadcasts a price to all who watch the product.
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

/// Returns the metrics for Prometheus. A public server restricts this to its own network.
async fn scrape(State(app): State<App>) -> Response {
    app.metrics.run_upkeep();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, app.metrics.render()).into_response()
}

fn gone(error: Error) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, error.to_string())
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use channel_runtime::{telemetry::describe_metrics, test::TestClient};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt;

    use super::*;
    use crate::socket::UserSocket;

    #[tokio::test]
    async fn prometheus_reads_what_is_open_and_what_was_refused_with_descriptions() {
        let metrics = PrometheusBuilder::new().install_recorder().unwrap();
        describe_metrics();
        let directory = Directory::default();
        let endpoint = Endpoint::builder()
            .socket::<UserSocket>("/socket")
            .build()
            .unwrap();
        let client = TestClient::builder(&endpoint)
            .params([("user", "eve")])
            .extension(directory.clone())
            .connect()
            .await
            .unwrap();
        client.join("notifications:ada", ()).await.unwrap_err();
        let app = routes(endpoint, directory, metrics);
        let scraped = app
            .oneshot(Request::get("/metrics").body(Body::empty()).unwrap())
            .await
            .unwrap();
        let text = to_bytes(scraped.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(text.into()).unwrap();
        for line in [
            "# HELP channel_connections Connections that are open",
            "# TYPE channel_connections gauge",
            "# TYPE channel_join_seconds summary",
            r#"channel_joins_total{channel="NotificationChannel",outcome="error"}"#,
        ] {
            assert!(text.contains(line), "no {line:?} in {text}");
        }
    }
}
