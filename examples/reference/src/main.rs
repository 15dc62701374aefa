//! The reference room: every way a channel can answer, at one address, to point a client's own
//! test suite at. Run it with `cargo run -p reference`; `PORT` chooses the port.

mod events;
mod http;
mod room;
mod socket;
mod stop;

use std::{net::Ipv4Addr, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use channel_runtime::{ConfigError, Endpoint, SocketOptions};
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
///
/// Sockets with an origin check, subprotocols, an auth token, compression or an error handler
/// take their places here, next to these.
fn endpoint() -> Result<Endpoint, ConfigError> {
    let idle = SocketOptions::default().timeout(Duration::from_secs(1));
    let small = SocketOptions::default().max_frame_size(1024);
    Endpoint::builder()
        .socket::<UserSocket>("/socket")
        .socket_with::<UserSocket>("/idle", idle)
        .socket_with::<UserSocket>("/small", small)
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
