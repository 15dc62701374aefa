//! The open API of `channel-sync` alone: `cargo run -p shapes`, and point any client of Electric's protocol
//! at `http://localhost:3000/v1/shape?table=todos&offset=-1`.
//!
//! With `DATABASE_URL` the tables are those of a PostgreSQL database, which needs `wal_level=logical` and
//! a role that may replicate. Else there is one in memory, and handlers that write it:
//!
//! ```sh
//! curl -X POST localhost:3000/todos -H 'content-type: application/json' -d '{"title":"milk"}'
//! curl -X PATCH localhost:3000/todos/1 -H 'content-type: application/json' -d '{"done":true}'
//! curl -X DELETE localhost:3000/todos/1
//! ```
//!
//! Environment: `DATABASE_URL`, `SLOT` (`channel_sync`; each process needs one of its own), `PORT` (3000), `POLL_MS` (20000), `CHUNK_BYTES` (10485760), `ALLOW_DELETE` (`true`),
//! `SECRET`, `CACHE_MAX_AGE` (60), `CACHE_STALE_AGE` (300).

use anyhow::Context;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{patch, post};
use axum::{Json, Router};
use channel_sync::{
    Column, Config, MemoryError, MemorySource, PostgresConfig, PostgresSource, Sync, Table, Type,
};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).init();

    let (sync, routes) = match variable::<String>("DATABASE_URL")? {
        Some(url) => (database(&url).await?, Router::new()),
        None => in_memory().await?,
    };
    // Every other path belongs to the protocol.
    let app = routes.fallback_service(sync.open_api());

    let port: u16 = variable("PORT")?.unwrap_or(3000);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("shapes listening on http://{}", listener.local_addr()?);
    let stop = async {
        // Without a handler for ctrl-c the process ends by itself.
        let _ = tokio::signal::ctrl_c().await;
    };
    tokio::select! {
        result = axum::serve(listener, app) => result?,
        // Does not wait for pending requests: their clients come again.
        () = stop => {}
    }
    Ok(())
}

async fn database(url: &str) -> anyhow::Result<Sync> {
    let mut options = PostgresConfig::new(url)?;
    if let Some(slot) = variable::<String>("SLOT")? {
        options = options.slot(&slot);
    }
    let source = PostgresSource::connect(options).await?;
    Ok(Sync::new(source, config()?))
}

async fn in_memory() -> anyhow::Result<(Sync, Router)> {
    let source = MemorySource::new();
    let todos = Table::new("public", "todos")
        .column("id", Type::Int8)
        .with(Column::new("title", Type::Text).not_null())
        .with(Column::new("done", Type::Bool).not_null())
        .primary_key(["id"]);
    source.create(todos).await?;
    let writes = Writes {
        source: source.clone(),
        next_id: Arc::new(AtomicI64::new(1)),
    };
    let routes = Router::new()
        .route("/todos", post(create))
        .route("/todos/{id}", patch(change).delete(remove))
        .with_state(writes);
    Ok((Sync::new(source, config()?), routes))
}

fn config() -> anyhow::Result<Config> {
    let mut config = Config::new();
    if let Some(millis) = variable("POLL_MS")? {
        config = config.poll_timeout(Duration::from_millis(millis));
    }
    if let Some(bytes) = variable("CHUNK_BYTES")? {
        config = config.chunk_bytes(bytes);
    }
    if let Some(allow) = variable("ALLOW_DELETE")? {
        config = config.allow_delete(allow);
    }
    if let Some(secret) = variable::<String>("SECRET")? {
        config = config.secret(secret);
    }
    let age = variable("CACHE_MAX_AGE")?.unwrap_or(60);
    Ok(config.cache_ages(age, variable("CACHE_STALE_AGE")?.unwrap_or(300)))
}

/// The variable's value, if it is set and not empty.
fn variable<T: FromStr>(name: &str) -> anyhow::Result<Option<T>>
where
    T::Err: std::error::Error + Send + std::marker::Sync + 'static,
{
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => Ok(Some(
            text.parse().with_context(|| format!("{name}={text}"))?,
        )),
        _ => Ok(None),
    }
}

/// The state of the handlers that write.
#[derive(Clone)]
struct Writes {
    source: MemorySource,
    next_id: Arc<AtomicI64>,
}

/// The transaction's id: a client drops its optimistic state when it sees it in the `txids`.
#[derive(Serialize)]
struct Written {
    id: i64,
    txid: u64,
}

#[derive(Deserialize)]
struct Create {
    title: String,
}

#[derive(Deserialize)]
struct Change {
    title: Option<String>,
    done: Option<bool>,
}

type Answer = Result<Json<Written>, (StatusCode, String)>;

fn refused(error: MemoryError) -> (StatusCode, String) {
    (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

async fn create(State(writes): State<Writes>, Json(todo): Json<Create>) -> Answer {
    let id = writes.next_id.fetch_add(1, Ordering::Relaxed);
    let mut tx = writes.source.begin();
    let text = id.to_string();
    let row = [
        ("id", Some(&*text)),
        ("title", Some(&*todo.title)),
        ("done", Some("false")),
    ];
    tx.insert("todos", row).map_err(refused)?;
    let txid = tx.commit().await.map_err(refused)?;
    Ok(Json(Written { id, txid }))
}

async fn change(
    State(writes): State<Writes>,
    Path(id): Path<i64>,
    Json(change): Json<Change>,
) -> Answer {
    let done = change.done.map(|done| done.to_string());
    let title = change.title.as_deref().map(|title| ("title", Some(title)));
    let done = done.as_deref().map(|done| ("done", Some(done)));
    let mut tx = writes.source.begin();
    let id_text = id.to_string();
    tx.update(
        "todos",
        "id = $1",
        &[&id_text],
        title.into_iter().chain(done),
    )
    .map_err(refused)?;
    let txid = tx.commit().await.map_err(refused)?;
    Ok(Json(Written { id, txid }))
}

async fn remove(State(writes): State<Writes>, Path(id): Path<i64>) -> Answer {
    let mut tx = writes.source.begin();
    tx.delete("todos", "id = $1", &[&id.to_string()])
        .map_err(refused)?;
    let txid = tx.commit().await.map_err(refused)?;
    Ok(Json(Written { id, txid }))
}
