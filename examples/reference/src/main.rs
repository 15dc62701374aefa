//! The reference room: every kind of answer of a channel, at one address, as a target for a
//! client's own test suite. Run it with `cargo run -p reference`; `PORT` sets the port.

mod album;
mod events;
mod http;
mod options;
mod room;
mod socket;

use std::process::ExitCode;

use channel_runtime::{ConfigError, Endpoint, serve::listen};
use tracing_subscriber::EnvFilter;

use crate::{album::AlbumSocket, socket::UserSocket};

/// The default port, unless `PORT` is set.
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
    let endpoint = endpoint()?;
    let app = endpoint.router().merge(http::routes(endpoint.clone()));
    let server = endpoint.serve(listen(([127, 0, 0, 1], PORT)).await?, app);
    println!("reference listening on http://{}", server.local_addr()?);
    Ok(server.await?)
}

/// Builds the endpoint: one socket type at a path for each set of options, and one with uploads.
fn endpoint() -> Result<Endpoint, ConfigError> {
    let builder = Endpoint::builder().url("//localhost");
    let mounts = options::mounts().into_iter();
    mounts
        .fold(builder, |builder, (path, options)| {
            builder.socket::<UserSocket>(options.path(path))
        })
        .socket::<AlbumSocket>(options::open().path("/uploads"))
        .build()
}
