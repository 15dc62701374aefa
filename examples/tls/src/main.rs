//! A room over TLS: `cargo run -p tls`, then <https://127.0.0.1:4443>. Plain HTTP redirects there.
//!
//! With `BEHIND_PROXY=1` it speaks plain HTTP only and believes the proxy's `x-forwarded-proto`.

mod certificate;
mod listener;
mod room;

use std::{env, net::Ipv4Addr, process::ExitCode};

use anyhow::{Context, Result};
use axum::{Extension, Router, response::Html, routing::get};
use channel_runtime::{
    Endpoint,
    force_ssl::{ForceSsl, Forwarded, Https},
    serve::listen,
};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::{listener::TlsListener, room::User};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tls: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let endpoint = Endpoint::builder().socket::<User>("/socket").build()?;
    let app = Router::new()
        .route(
            "/",
            get(|| async { Html(include_str!("../static/index.html")) }),
        )
        .merge(endpoint.router());
    if env::var_os("BEHIND_PROXY").is_some() {
        behind_proxy(endpoint, app).await
    } else {
        with_tls(endpoint, app).await
    }
}

/// Serves behind a proxy, which speaks TLS and reports the scheme of every request.
async fn behind_proxy(endpoint: Endpoint, app: Router) -> Result<()> {
    // No host is excluded, so that the example redirects on this machine, too.
    let force = ForceSsl::new().exclude_hosts::<String>([]);
    let app = app.layer(force.trust(Forwarded::Proto).trust(Forwarded::Host));
    let server = endpoint.serve(listen(([127, 0, 0, 1], 4000)).await?, app);
    println!("tls listening on http://{}", server.local_addr()?);
    Ok(server.await?)
}

/// Serves two ports: one speaks TLS, the other redirects to it.
async fn with_tls(endpoint: Endpoint, app: Router) -> Result<()> {
    let acceptor = certificate::acceptor()?;
    let plain = listen(([127, 0, 0, 1], 4000)).await?;
    let port = tls_port()?;
    let secure = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}; set TLS_PORT to another"))?;
    let address = secure.local_addr()?;
    let force = ForceSsl::new()
        .exclude_hosts::<String>([])
        .host(&address.to_string());
    // Both end when the process is asked to, and drain the endpoint together.
    let redirects = endpoint.serve(plain, app.clone().layer(force.clone()));
    let listener = TlsListener::new(secure, acceptor);
    let server = endpoint.serve(listener, app.layer(force).layer(Extension(Https)));
    println!(
        "tls listening on https://{address} and http://{}",
        redirects.local_addr()?
    );
    tokio::try_join!(redirects.into_future(), server.into_future())?;
    Ok(())
}

/// Returns the port of the `TLS_PORT` variable (default: 4443); 0 asks for a free one.
fn tls_port() -> Result<u16> {
    let text = env::var("TLS_PORT").unwrap_or_else(|_| "4443".to_owned());
    text.parse()
        .with_context(|| format!("TLS_PORT must be a number from 0 to 65535, not {text:?}"))
}
