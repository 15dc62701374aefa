//! Shapes of Postgres tables, streamed to every client: a server of our own for the protocol that
//! Electric's clients speak ([`@electric-sql/client`](https://www.npmjs.com/package/@electric-sql/client)
//! and libraries built on it), as a part of any axum service.
//!
//! A *shape* is a table, columns of it, and a `where` clause. A client asks for its *snapshot*, then
//! follows its *log* from *offset* to *offset*, by long-polling or by server-sent events. A *handle*
//! names one snapshot and its log; when they end, clients get `must-refetch` and begin again.
//!
//! ```
//! use channel_sync::{Config, MemorySource, Sync};
//! let source = MemorySource::new();
//! let sync = Sync::new(source.clone(), Config::new());
//! // Each client that reaches it may read every table: the open API is for trusted networks, or
//! // behind a proxy that authorizes.
//! let app: axum::Router = sync.open_api(); // GET /v1/shape?table=todos&offset=-1
//! ```
//!
//! # What it covers
//!
//! * The protocol: GET, HEAD, POST, OPTIONS and DELETE of `/v1/shape`, `/v1/health`; long-poll and
//!   SSE, `offset=now`, `changes_only`, subsets by GET and POST, `where` with `params`, `columns`,
//!   `replica`; caching headers, etags, cursors, CORS, a secret.
//! * [`MemorySource`]: typed tables in this process. With the feature `postgres`, `PostgresSource`: a
//!   PostgreSQL database, by logical replication. [`Source`] is the seam for others.
//! * [`Predicate`]: the language of `where`.
//! * Shapes in memory, within [bounds](Config): a shape that does not fit ends, and its clients
//!   begin again.
//!   An index finds the shapes of a change by equality, `IN` and `= ANY`, whatever their number.
//!
//! Not supported yet: a log on disk (all handles end with the process), routes
//! that pick a shape by client, subqueries in `where`, `#[derive(Table)]`.
//!
//! Deliberate differences from Electric 1.7.12: booleans are `true` and `false`
//! everywhere; a key is the same in snapshot and stream; a waiting request whose shape ended gets
//! the new handle; a stream of events stays open after its backlog; an update that changes nothing
//! is sent, so that a client that waits for its transaction's id sees it; enums are compared with
//! their labels; an integer that is out of range is the client's mistake; a preflight allows the
//! headers that it asks for.

mod config;
mod engine;
mod http;
mod index;
mod log;
mod memory;
mod offset;
#[cfg(feature = "postgres")]
mod postgres;
mod predicate;
mod shape;
mod source;
mod table;
mod telemetry;
mod value;

pub use config::Config;
pub use engine::Health;
pub use memory::{MemoryError, MemorySource, MemoryTransaction};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresError, PostgresSource};
pub use predicate::{EvalError, Order, Predicate, PredicateError};
pub use shape::{LogMode, Replica};
pub use source::{
    Bounds, BoxFuture, Change, Event, Query, Relation, Snapshot, Source, SourceError, SourceHealth,
    Transaction,
};
pub use table::{Column, Modifier, RelationName, Row, Table};
pub use telemetry::describe_metrics;
pub use value::{EnumType, Type};

use std::sync::Arc;

/// Shapes of a source's tables. Clones are the same one.
#[derive(Clone)]
pub struct Sync {
    engine: Arc<engine::Engine>,
}

impl Sync {
    /// Shapes of this source. Its changes are read from the first request on.
    pub fn new(source: impl Source, config: Config) -> Sync {
        Sync {
            engine: engine::Engine::new(Arc::new(source), config),
        }
    }

    /// How it is: how far the source's changes are read, how many shapes there are, and how many requests
    /// wait.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use channel_sync::{Config, MemorySource, Sync};
    /// let sync = Sync::new(MemorySource::new(), Config::new());
    /// let health = sync.health().await;
    /// assert!(health.source.connected && health.waiting == 0);
    /// # })
    /// ```
    pub async fn health(&self) -> Health {
        self.engine.health().await
    }

    /// The whole API, in which clients say which table they want: `/v1/shape` and `/v1/health`.
    ///
    /// It serves every table of the source to each client that reaches it, or that has the
    /// [secret](Config::secret).
    pub fn open_api(&self) -> axum::Router {
        http::router(self.engine.clone())
    }
}
