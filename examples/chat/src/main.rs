//! A chat to open in two windows: `cargo run -p chat`, then <http://127.0.0.1:4000>.

mod page;
mod room;
mod socket;

use std::{io::stderr, process::ExitCode};

use anyhow::Result;
use channel_runtime::{LongPollOptions, SocketOptions, prelude::*, serve::listen};
use tracing_subscriber::EnvFilter;

use crate::socket::UserSocket;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    // Clients that cannot open a WebSocket fall back to long polling.
    let options = SocketOptions::default().long_poll(LongPollOptions::default());
    let endpoint = Endpoint::builder()
        .socket::<UserSocket>(options.path("/socket"))
        .build()?;
    let app = page::router().merge(endpoint.router());
    #[cfg(feature = "reload")]
    let app = channel_runtime::reload::Reload::new(&endpoint)
        .watch(page::FOLDER)?
        .attach(app);
    let server = endpoint.serve(listen(([127, 0, 0, 1], 4000)).await?, app);
    println!("chat listening on http://{}", server.local_addr()?);
    Ok(server.await?)
}
