//! The changes, as the replication slot streams them: read again from where they are stored when the
//! connection is cut, and acknowledged when every shape has them.

use super::catalog::Catalog;
use super::config::{OPTIONS, PostgresConfig};
use super::error::pool_error;
use super::pgoutput::{self, Malformed, Message};
use super::rows::{RowsError, Tables};
use super::slot::{self, Before, Continuity, SlotError};
use crate::source::{Change, Event, SourceError, Transaction};
use crate::telemetry;
use deadpool_postgres::Pool;
use pgwire_replication::{
    IdentifySystem, Lsn, PgWireError, ReplicationClient, ReplicationConfig, ReplicationEvent,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Changes that are sent together; a transaction with more comes in parts.
const PART: usize = 1_000;
/// Bytes of the stream in such a part.
const PART_BYTES: usize = 1024 * 1024;
/// Messages of the stream that wait to be read.
const WAITING: usize = 64;
/// The interval at which the server gets the stored position.
const STATUS: Duration = Duration::from_millis(200);
/// Between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Sessions without a transaction that end with the server's refusal, before the slot is made anew.
const REFUSALS: u32 = 5;
/// The time that the server may take to greet.
const GREETING: Duration = Duration::from_secs(10);

pub(super) struct Stream {
    pub(super) config: PostgresConfig,
    pub(super) pool: Pool,
    pub(super) catalog: Arc<Catalog>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stored: watch::Receiver<u64>,
    pub(super) progress: Arc<super::Progress>,
    /// The server, as known since the first session.
    pub(super) server: Option<Server>,
    /// The last transaction that was told, by the position of its commit.
    pub(super) told: u64,
    /// Parts of a transaction were told that is not complete.
    pub(super) open: bool,
    pub(super) refusals: u32,
}

/// The server, and the stored position of its log.
pub(super) struct Server {
    system: String,
    timeline: u32,
    before: Before,
}

#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("{0}")]
    Wire(#[from] PgWireError),
    #[error("{0}")]
    Slot(#[from] SlotError),
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{0}")]
    Rows(#[from] RowsError),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("the server ended the stream")]
    Ended,
    #[error("the server does not answer")]
    Silent,
    /// The receiver of the changes is gone.
    #[error("the changes are not read any longer")]
    Unread,
}

impl From<tokio_postgres::Error> for Cut {
    fn from(error: tokio_postgres::Error) -> Cut {
        Cut::Slot(error.into())
    }
}

impl Stream {
    /// Makes the slot, so that all commits from now on are read.
    pub(super) async fn begin(&mut self) -> Result<ReplicationClient, SourceError> {
        let begun = self.connect().await;
        begun.map_err(|cut| match cut {
            Cut::Source(error) => error,
            other => {
                tracing::error!(error = %other, "the changes of the database cannot be read");
                SourceError::Unavailable("the changes of the database cannot be read".into())
            }
        })
    }

    /// Sends the changes until the receiver is gone.
    pub(super) async fn run(mut self, first: ReplicationClient) {
        let mut client = Some(first);
        let mut pause = PAUSES.0;
        loop {
            let began = Instant::now();
            let told = self.told;
            let session = async {
                let client = match client.take() {
                    Some(client) => client,
                    None => self.connect().await?,
                };
                self.session(client).await
            };
            let Err(cut) = session.await;
            self.progress.disconnected();
            telemetry::cut();
            if matches!(cut, Cut::Unread) || self.events.is_closed() {
                return;
            }
            if self.told > told || began.elapsed() > Duration::from_secs(60) {
                self.refusals = 0;
                pause = PAUSES.0;
            }
            if matches!(&cut, Cut::Wire(PgWireError::Server(_))) {
                self.refusals += 1;
            }
            tracing::warn!(error = %cut, ?pause, "the stream of changes is cut; it is opened again");
            tokio::select! {
                () = sleep(pause) => {}
                () = self.events.closed() => return,
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn connect(&mut self) -> Result<ReplicationClient, Cut> {
        let greeted = timeout(GREETING, self.greet()).await;
        let (mut client, system, pid) = greeted.map_err(|_| Cut::Silent)??;
        let sql = self.pool.get().await.map_err(|e| pool_error(&e))?;
        let published = slot::publication(&**sql, &self.config.publication).await?;
        // For another server, one that was set back, or a slot that cannot be continued, the known
        // position of the log is useless.
        let same = self.server.as_ref().filter(|known| {
            known.system == system.system_id
                && known.timeline == system.timeline
                && known.before.stored <= system.xlogpos
                && published == Continuity::Kept
                && self.refusals < REFUSALS
        });
        let first = self.server.is_none();
        let before = same.map(|known| known.before);
        let (continuity, stored) = slot::slot(&sql, &self.config, before).await?;
        drop(sql);
        client.start().await?;
        client.wait_started().await?;
        self.server = Some(Server {
            system: system.system_id,
            timeline: system.timeline,
            before: Before { stored, pid },
        });
        if continuity == Continuity::New {
            self.refusals = 0;
            self.told = 0;
            self.open = false;
            if !first {
                self.send(Event::Lost).await?;
            }
        } else if std::mem::take(&mut self.open) {
            self.send(Event::Restarted).await?;
        }
        self.progress.connected(stored.as_u64());
        tracing::info!(slot = self.config.slot, "changes are streamed");
        Ok(client)
    }

    /// A connection that does not stream yet, whose server it is, and the server's process.
    async fn greet(&self) -> Result<(ReplicationClient, IdentifySystem, i32), Cut> {
        let mut client = gated(&self.config).await?;
        let system = client.identify_system().await?;
        let rows = client.simple_query("SELECT pg_backend_pid()").await?;
        let pid = rows.first().and_then(|row| row.first()?.as_deref());
        let pid = pid.and_then(|pid| std::str::from_utf8(pid).ok()?.parse().ok());
        Ok((client, system, pid.unwrap_or(0)))
    }

    /// Looks whether tables were altered, and whether the server still streams to this connection: one
    /// that is gone without a word is not noticed otherwise.
    async fn look(&self) -> Result<(), Cut> {
        // Not reachable now: the next look comes soon.
        let _ = self.catalog.refresh_all().await;
        let Some(server) = &self.server else {
            return Ok(());
        };
        let held = timeout(GREETING, slot::held(&self.pool, &self.config.slot)).await;
        match held {
            Ok(Some(held)) if held != Some(server.before.pid) => Err(Cut::Silent),
            _ => Ok(()),
        }
    }

    async fn send(&self, event: Event) -> Result<(), Cut> {
        self.events.send(event).await.map_err(|_| Cut::Unread)
    }

    /// Reads one connection to its end.
    async fn session(
        &mut self,
        mut client: ReplicationClient,
    ) -> Result<std::convert::Infallible, Cut> {
        let mut tables = Tables::default();
        let mut current: Option<Current> = None;
        // All up to here is read, and stored once the last transaction that was told is.
        let mut read = Lsn::ZERO;
        let mut check = interval(self.config.catalogue_check);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let catalog = self.catalog.clone();
        loop {
            let event = tokio::select! {
                event = client.recv() => event?.ok_or(Cut::Ended)?,
                changed = self.stored.changed() => {
                    changed.map_err(|_| Cut::Unread)?;
                    self.acknowledge(&client, read);
                    continue;
                }
                () = self.events.closed() => return Err(Cut::Unread),
                _ = check.tick(), if current.is_none() => {
                    self.look().await?;
                    continue;
                }
            };
            match event {
                ReplicationEvent::Begin { final_lsn, xid, .. } => {
                    current = Some(Current::new(xid, final_lsn.as_u64()));
                }
                ReplicationEvent::XLogData { data, .. } => {
                    let Some(transaction) = &mut current else {
                        continue;
                    };
                    transaction.bytes += data.len();
                    let message = pgoutput::decode(data)?;
                    // It was told before the connection was cut, and not acknowledged. What it says of
                    // columns is said once a connection, and holds for what follows.
                    let again = transaction.lsn <= self.told;
                    if again && !matches!(message, Message::Relation(_)) {
                        continue;
                    }
                    let meaning = tables.meaning(&catalog, message).await?;
                    if !meaning.events.is_empty() {
                        self.part(transaction, false).await?;
                    }
                    for event in meaning.events {
                        self.send(event).await?;
                    }
                    transaction.changes.extend(meaning.changes);
                    if transaction.changes.len() >= PART || transaction.bytes >= PART_BYTES {
                        self.part(transaction, false).await?;
                    }
                }
                ReplicationEvent::Commit { end_lsn, .. } => {
                    if let Some(mut transaction) = current.take()
                        && transaction.lsn > self.told
                    {
                        self.part(&mut transaction, true).await?;
                    }
                    read = end_lsn;
                    self.acknowledge(&client, read);
                }
                ReplicationEvent::KeepAlive { wal_end, .. } if current.is_none() => {
                    read = read.max(wal_end);
                    self.acknowledge(&client, read);
                }
                ReplicationEvent::StoppedAt { .. } => return Err(Cut::Ended),
                ReplicationEvent::KeepAlive { .. } | ReplicationEvent::Message { .. } => {}
            }
        }
    }

    /// Sends the part of a transaction so far. A transaction that affects no table is not sent.
    async fn part(&mut self, current: &mut Current, complete: bool) -> Result<(), Cut> {
        current.bytes = 0;
        if current.changes.is_empty() && !(complete && self.open) {
            return Ok(());
        }
        let transaction = Transaction {
            xid: current.xid.into(),
            lsn: current.lsn,
            changes: std::mem::take(&mut current.changes),
            complete,
        };
        self.send(Event::Transaction(transaction)).await?;
        self.open = !complete;
        if complete {
            self.told = current.lsn;
        }
        Ok(())
    }

    fn acknowledge(&mut self, client: &ReplicationClient, read: Lsn) {
        let Some(server) = &mut self.server else {
            return;
        };
        if *self.stored.borrow() >= self.told && read > server.before.stored {
            server.before.stored = read;
            client.update_applied_lsn(read);
            self.progress.stored(read.as_u64());
        }
    }
}

/// The transaction that is read.
struct Current {
    xid: u32,
    lsn: u64,
    changes: Vec<Change>,
    /// Bytes of the stream since the last part.
    bytes: usize,
}

impl Current {
    fn new(xid: u32, lsn: u64) -> Current {
        Current {
            xid,
            lsn,
            changes: Vec::new(),
            bytes: 0,
        }
    }
}

/// A replication connection that does not stream yet.
pub(super) async fn gated(config: &PostgresConfig) -> Result<ReplicationClient, PgWireError> {
    let database = &config.database;
    let user = database.get_user().unwrap_or_default();
    let password = String::from_utf8_lossy(database.get_password().unwrap_or_default());
    let name = database.get_dbname().unwrap_or(user);
    let host = match database.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(tokio_postgres::config::Host::Unix(path)) => path.to_string_lossy().into_owned(),
        None => String::new(),
    };
    let port = database.get_ports().first().copied().unwrap_or(5432);
    let publication = config.publication.as_str();
    let config = ReplicationConfig::new(host, user, password, name, &config.slot, publication)
        .with_port(port)
        .with_options(OPTIONS)
        .with_application_name("channel_sync")
        .with_buffer_size(WAITING)
        .with_status_interval(STATUS)
        .with_wakeup_interval(STATUS);
    ReplicationClient::connect_gated(config).await
}
