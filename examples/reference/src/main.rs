//! The reference room: every way a channel can answer, at one address, to point a client's own
//! test suite at. Run it with `cargo run -p reference`; `PORT` chooses the port.

mod events;
mod http;
mod options;
mod room;
mod socket;
mod stop;

use std::{net::Ipv4Addr, process::ExitCode};

use anyhow::{Context, bail};
use channel_runtime::{ConfigError, Endpoint};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::socket::UserSocket;

/// Where it listens unless `PORT` says otherwise.
const PORT: u16 = 4000;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reference: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    let port = port()?;
    let asked_to_stop = stop::asked()?;
    let endpoint = endpoint()?;
    let app = endpoint.router().merge(http::routes(endpoint.clone()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    println!("reference listening on http://{}", listener.local_addr()?);
    // When it is asked to stop, the server is dropped, and with it the listener: nobody new comes
    // in while those who are here are sent away.
    tokio::select! {
        served = axum::serve(listener, app).into_future() => return Ok(served?),
        () = asked_to_stop => {}
    }
    endpoint.drain().await;
    Ok(())
}

/// One socket type, at a path for each set of options.
fn endpoint() -> Result<Endpoint, ConfigError> {
    let builder = Endpoint::builder().url("//localhost");
    let mounts = options::mounts().into_iter();
    mounts
        .fold(builder, |builder, (path, options)| {
            builder.socket_with::<UserSocket>(path, options)
        })
        .build()
}

fn port() -> anyhow::Result<u16> {
    let Some(port) = std::env::var_os("PORT") else {
        return Ok(PORT);
    };
    match port.to_str().and_then(|port| port.parse().ok()) {
        Some(port) => Ok(port),
        None => bail!("PORT must be a number from 0 to 65535, not {port:?}"),
    }
}
