//! Notifications about prices: `cargo run -p notifications`, then <http://127.0.0.1:4000>.
//!
//! One channel for each user, `notifications:<user>`, watches any number of products. It shows
//! further topics, deferred replies, timers, and calls into a channel from HTTP handlers.

mod channel;
mod directory;
mod http;
mod socket;

use std::{env, net::Ipv4Addr, process::ExitCode};

use anyhow::{Context, Result};
use axum::Extension;
use channel_runtime::Endpoint;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
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
    let port = port()?;
    let endpoint = Endpoint::builder()
        .socket::<UserSocket>("/socket")
        .build()?;
    let directory = Directory::default();
    // What the layer carries reaches `#[connect]` as `&Extensions`: a database pool would, too.
    let sockets = endpoint.router().layer(Extension(directory.clone()));
    let app = http::routes(endpoint.clone(), directory).merge(sockets);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}; set PORT to another"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!(
        "notifications listening on http://{}",
        listener.local_addr()?
    );
    tokio::select! {
        served = async { axum::serve(listener, app).await } => served?,
        _ = terminate.recv() => endpoint.drain().await,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            endpoint.drain().await;
        }
    }
    Ok(())
}

/// The port of the `PORT` variable, 4000 when it is not set; 0 asks for a free one.
fn port() -> Result<u16> {
    let text = env::var("PORT").unwrap_or_else(|_| "4000".to_owned());
    text.parse()
        .with_context(|| format!("PORT must be a number from 0 to 65535, not {text:?}"))
}
