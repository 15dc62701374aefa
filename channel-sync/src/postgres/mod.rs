//! PostgreSQL as a source, by logical replication.

mod catalog;
mod config;
mod describe;
mod error;
mod pgoutput;
mod publish;
mod rights;
mod rows;
mod slot;
mod snapshot;
mod stream;

pub use config::PostgresConfig;
pub use error::PostgresError;

use crate::source::{
    BoxFuture, Event, Query, Relation, Snapshot, Source, SourceError, SourceHealth,
};
use crate::table::RelationName;
use crate::telemetry;
use catalog::Catalog;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use parking_lot::Mutex;
use publish::Publisher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use stream::Stream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_postgres::NoTls;

/// Parts of transactions that wait for their reader.
const QUEUE: usize = 16;

/// A PostgreSQL database, 14 or later, whose changes come through a replication slot.
///
/// It makes a publication and a slot, and adds each table to the publication when a shape of it is asked
/// for first, with `REPLICA IDENTITY FULL`. Locks that this takes are never waited for longer than half a
/// second at a time, so that writers do not queue up behind them.
///
/// Of partitioned tables, shapes of the whole and shapes of a partition are told alike. When a partition
/// is added or removed, the shapes of the whole end, since that may bring rows or take them away.
///
/// The role needs:
///
/// | right | for |
/// |---|---|
/// | `REPLICATION` | the stream of changes |
/// | `SELECT` on the tables, `USAGE` on their schemas | snapshots |
/// | `CREATE` on the database, or a publication that is there | the publication |
/// | to own the publication and the tables, or that the owner adds them to it with `REPLICA IDENTITY FULL` | that changes of the tables are told, and whole |
///
/// The slot has the database keep its log until changes are stored, also while no process reads them: a
/// service that is gone for good leaves it to `SELECT pg_drop_replication_slot('channel_sync')`. The
/// server's `max_slot_wal_keep_size` bounds it; a slot that is lost by that ends all shapes.
///
/// | what fails | clients |
/// |---|---|
/// | the database stops, is killed, or its connections are cut | get what is stored; later, the changes go on under the same handles |
/// | the slot or the publication is dropped, the database is set back or another | begin again, when the slot is made anew |
/// | a table is altered, dropped, emptied by `TRUNCATE`, taken out of the publication, or its replica identity is changed | of that table, begin again |
/// | a right is taken away | of that table, get 400; the log names the statement that gives it |
/// | a transaction is larger than a shape may be | of that shape, begin again |
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use channel_sync::{Config, PostgresConfig, PostgresSource, Sync};
/// let source = PostgresSource::connect(PostgresConfig::new("postgres://app@localhost/app")?).await?;
/// let app: axum::Router = Sync::new(source, Config::new()).open_api();
/// # Ok(()) }
/// ```
pub struct PostgresSource {
    config: PostgresConfig,
    pool: Pool,
    catalog: Arc<Catalog>,
    publisher: Publisher,
    followed: AtomicBool,
    stored: watch::Sender<u64>,
    progress: Arc<Progress>,
}

/// How far the stream is.
#[derive(Debug, Default)]
struct Progress {
    connected: AtomicBool,
    /// All up to here is stored.
    stored: AtomicU64,
    /// When all that had been read was.
    since: Mutex<Option<Instant>>,
}

impl Progress {
    fn connected(&self, lsn: u64) {
        self.connected.store(true, Ordering::Release);
        telemetry::connected(true);
        self.stored(lsn);
    }

    fn disconnected(&self) {
        self.connected.store(false, Ordering::Release);
        telemetry::connected(false);
    }

    fn stored(&self, lsn: u64) {
        self.stored.store(lsn, Ordering::Release);
        *self.since.lock() = Some(Instant::now());
    }
}

impl PostgresSource {
    /// Connects, and finds out whether the database can be a source.
    ///
    /// # Errors
    ///
    /// The slot's name cannot be one, or the database is not reachable, or it lacks a setting or a right: the text names the statement that
    /// gives it.
    pub async fn connect(config: PostgresConfig) -> Result<PostgresSource, PostgresError> {
        config.check()?;
        let mut database = config.database.clone();
        database
            .options(config::OPTIONS)
            .application_name("channel_sync");
        if database.get_connect_timeout().is_none() {
            database.connect_timeout(Duration::from_secs(5));
        }
        let fast = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(database, NoTls, fast);
        let pool = Pool::builder(manager)
            .max_size(config.connections)
            .wait_timeout(Some(Duration::from_secs(30)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| PostgresError::Connect(e.to_string()))?;
        let locks = rights::check(&pool, &config).await?;
        let catalog = Arc::new(Catalog::new(pool.clone(), config.publication.clone()));
        let publisher = Publisher {
            pool: pool.clone(),
            catalog: catalog.clone(),
            publication: config.publication.clone(),
            patience: config.patience,
            locks,
            turn: tokio::sync::Mutex::default(),
        };
        Ok(PostgresSource {
            config,
            pool,
            catalog,
            publisher,
            followed: AtomicBool::new(false),
            stored: watch::Sender::new(0),
            progress: Arc::default(),
        })
    }
}

impl PostgresSource {
    /// The end of the database's log, if it can be asked.
    async fn end(&self) -> Option<u64> {
        let asked = async {
            let client = self.pool.get().await.ok()?;
            let sql = "SELECT (pg_current_wal_lsn() - '0/0')::text";
            let row = client.query_one(sql, &[]).await.ok()?;
            row.get::<_, &str>(0).parse().ok()
        };
        timeout(Duration::from_secs(5), asked).await.ok().flatten()
    }
}

impl Source for PostgresSource {
    fn relation<'a>(
        &'a self,
        name: &'a RelationName,
    ) -> BoxFuture<'a, Result<Option<Arc<Relation>>, SourceError>> {
        Box::pin(async move {
            let Some(described) = self.catalog.named(name).await? else {
                return Ok(None);
            };
            match &described.unfit {
                Some(why) => Err(SourceError::Unfit(why.clone())),
                None => Ok(Some(described.relation.clone())),
            }
        })
    }

    fn snapshot<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Snapshot, SourceError>> {
        Box::pin(async move {
            let described = self.catalog.get(query.relation.id);
            let described = described.ok_or(SourceError::Altered)?;
            self.publisher.publish(&described).await?;
            snapshot::take(&self.pool, &self.config.publication, &query).await
        })
    }

    fn changes(&self) -> BoxFuture<'_, Result<mpsc::Receiver<Event>, SourceError>> {
        Box::pin(async move {
            if self.followed.swap(true, Ordering::AcqRel) {
                let text = "the changes of this source are followed already";
                return Err(SourceError::Unavailable(text.into()));
            }
            let (events, receiver) = mpsc::channel(QUEUE);
            let mut stream = Stream {
                config: self.config.clone(),
                pool: self.pool.clone(),
                catalog: self.catalog.clone(),
                events: events.clone(),
                stored: self.stored.subscribe(),
                progress: self.progress.clone(),
                server: None,
                told: 0,
                open: false,
                refusals: 0,
            };
            // When it fails, the next one tries again.
            let reset = Reset(Some(&self.followed));
            let client = stream.begin().await?;
            self.catalog.tell(events);
            tokio::spawn(stream.run(client));
            reset.keep();
            Ok(receiver)
        })
    }

    fn stored(&self, lsn: u64) {
        self.stored.send_replace(lsn);
    }

    fn health(&self) -> BoxFuture<'_, SourceHealth> {
        Box::pin(async move {
            let stored = self.progress.stored.load(Ordering::Acquire);
            let since = *self.progress.since.lock();
            let lag_bytes = self.end().await.map(|end| end.saturating_sub(stored));
            SourceHealth {
                connected: self.progress.connected.load(Ordering::Acquire),
                slot: Some(self.config.slot.clone()),
                stored: Some(stored),
                lag_bytes,
                lag: match lag_bytes {
                    Some(0) => Some(Duration::ZERO),
                    _ => since.map(|since| since.elapsed()),
                },
            }
        })
    }
}

/// Resets the flag that changes are followed, also if the caller is dropped.
struct Reset<'a>(Option<&'a AtomicBool>);

impl Reset<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Reset<'_> {
    fn drop(&mut self) {
        if let Some(followed) = self.0 {
            followed.store(false, Ordering::Release);
        }
    }
}
