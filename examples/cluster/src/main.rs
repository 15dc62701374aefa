//! Two chat nodes over one Redis: `cargo run -p cluster`, then open the two addresses it prints.
//!
//! `PORT` is the port of the first node (default: 4000); the second has the next one. 0 asks for
//! free ones. `PUBSUB_URL` names a running engine, `redis://…` or `nats://…`; `SECRET_KEY` is the
//! secret that the nodes share (default: a random one).

mod node;
mod room;
mod supervisor;

use std::{env, io::stderr, process::ExitCode};

use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(stderr)
        .init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [] => supervisor::run().await,
        [node, name, url] if node == "node" => node::run(name, url).await,
        _ => Err(anyhow::anyhow!("usage: cluster, or: cluster node NAME URL")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}
