//! Notifications about prices: `cargo run -p notifications`, then <http://127.0.0.1:4000>.
//!
//! One channel for each user, `notifications:<user>`, watches any number of products. It shows
//! further topics, deferred replies, timers, calls into a channel from HTTP handlers, and metrics for
//! Prometheus at `/metrics`.

mod channel;
mod directory;
mod http;
mod socket;

use std::process::ExitCode;

use anyhow::Result;
use axum::Extension;
use channel_runtime::{Endpoint, serve::listen, telemetry::describe_metrics};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::EnvFilter;

use crate::{directory::Directory, socket::UserSocket};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("notifications: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    describe_metrics();
    let endpoint = Endpoint::builder()
        .socket::<UserSocket>("/socket")
        .build()?;
    let directory = Directory::default();
    // The layer's value reaches `#[connect]` as `&Extensions`; a database pool would, too.
    let sockets = endpoint.router().layer(Extension(directory.clone()));
    let app = http::routes(endpoint.clone(), directory, metrics).merge(sockets);
    let server = endpoint.serve(listen(([127, 0, 0, 1], 4000)).await?, app);
    println!("notifications listening on http://{}", server.local_addr()?);
    Ok(server.await?)
}
