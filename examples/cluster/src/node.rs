//! One node: an endpoint with an adapter, and a page.

use std::env;

use anyhow::{Context, Result};
use axum::{Router, http::header::CONTENT_TYPE, response::Html, routing::get};
use channel_runtime::{
    Endpoint, LongPollOptions, SocketOptions,
    pubsub::{ClusterOptions, Nats, Redis},
    serve::listen,
};
use tokio::sync::oneshot;

use crate::room::UserSocket;

/// Serves until the process is asked to stop, or until its parent is gone.
pub(crate) async fn run(name: &str, url: &str) -> Result<()> {
    let options = ClusterOptions::new().namespace("campfire").node(name);
    let secret =
        env::var("SECRET_KEY").context("a node needs SECRET_KEY, as the others have it")?;
    let sockets = SocketOptions::default().long_poll(LongPollOptions::default());
    let builder = Endpoint::builder()
        .secret_key(secret)
        .socket::<UserSocket>(sockets.path("/socket"));
    let builder = if url.starts_with("nats") || url.starts_with("tls") {
        builder.pubsub(Nats::connect_with(url, options).await?)
    } else {
        builder.pubsub(Redis::connect_with(url, options).await?)
    };
    let endpoint = builder.build()?;
    let health = endpoint.clone();
    let app = Router::new()
        .route("/", get(Html(include_str!("../static/index.html"))))
        .route("/phoenix.js", get(phoenix))
        .route(
            "/health",
            get(async move || format!("{:#?}\n", health.health())),
        )
        .merge(endpoint.router());
    let server = endpoint.serve(listen(([127, 0, 0, 1], 4000)).await?, app);
    println!("http://{}", server.local_addr()?);
    tokio::select! {
        served = server => served?,
        _ = left_alone() => endpoint.drain().await,
    }
    Ok(())
}

/// Ready when the standard input ends. A thread of its own waits for it, so that no runtime has to
/// wait for that read.
fn left_alone() -> oneshot::Receiver<()> {
    let (sender, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // An error ends it as well.
        let _end = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(sender);
    });
    ended
}

/// Returns the official client, which the chat example carries.
async fn phoenix() -> ([(axum::http::HeaderName, &'static str); 1], &'static str) {
    let script = include_str!("../../chat/static/vendor/phoenix.min.js");
    ([(CONTENT_TYPE, "text/javascript")], script)
}
