//! A chat to open in two windows: `cargo run -p chat`, then <http://127.0.0.1:4000>.

mod page;
mod room;
mod socket;
mod stop;

use std::{env, io::stderr, net::Ipv4Addr, process::ExitCode};

use anyhow::{Context, Result};
use channel_runtime::prelude::*;
use tokio::net::TcpListener;
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
    let port = port(env::var("PORT").ok())?;
    let asked_to_stop = stop::asked()?;
    let endpoint = Endpoint::builder()
        .socket::<UserSocket>("/socket")
        .build()?;
    let app = page::router().merge(endpoint.router());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}; set PORT to another"))?;
    println!("chat listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, app);
    tokio::select! {
        served = async { server.await } => served?,
        () = asked_to_stop => endpoint.drain().await,
    }
    Ok(())
}

/// The port of the `PORT` variable, 4000 when it is not set; 0 asks for a free one.
fn port(variable: Option<String>) -> Result<u16> {
    let Some(text) = variable else {
        return Ok(4000);
    };
    text.parse()
        .with_context(|| format!("PORT must be a number from 0 to 65535, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_4000_unless_the_variable_says_otherwise() {
        assert_eq!(port(None).unwrap(), 4000);
        assert_eq!(port(Some("0".into())).unwrap(), 0);
        assert_eq!(port(Some("65535".into())).unwrap(), 65535);
    }

    #[test]
    fn a_port_that_is_none_is_refused_in_words() {
        for text in ["", "http", "65536", "-1"] {
            let error = port(Some(text.into())).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("PORT"), "{error}");
        }
    }
}
