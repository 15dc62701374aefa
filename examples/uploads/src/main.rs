//! Files dropped into a page: `cargo run -p uploads`, then <http://127.0.0.1:4000>.

mod folder;
mod harbour;
mod page;
mod socket;

use std::{io::stderr, process::ExitCode};

use anyhow::Result;
use axum::Extension;
use channel_runtime::{Endpoint, serve::listen};
use tracing_subscriber::EnvFilter;

use crate::{folder::Folder, socket::UserSocket};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uploads: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let folder = Folder::open().await?;
    let endpoint = Endpoint::builder()
        .socket::<UserSocket>("/socket")
        .build()?;
    let sockets = endpoint.router().layer(Extension(folder.clone()));
    let app = page::router().merge(folder.router()).merge(sockets);
    let server = endpoint.serve(listen(([127, 0, 0, 1], 4000)).await?, app);
    println!(
        "uploads listening on http://{} with files in {}",
        server.local_addr()?,
        folder.path().display()
    );
    Ok(server.await?)
}
