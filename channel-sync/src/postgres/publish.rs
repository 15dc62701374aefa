//! Tables of shapes are published whole, from a moment on from which no change is missed.

use super::catalog::Catalog;
use super::describe::Described;
use super::error::{has_code, pool_error, source_error, words};
use crate::source::SourceError;
use crate::table::quote_identifier;
use deadpool_postgres::Pool;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

pub(super) struct Publisher {
    pub(super) pool: Pool,
    pub(super) catalog: Arc<Catalog>,
    pub(super) publication: String,
    pub(super) patience: Duration,
    /// The server forgets in which transactions a table was published when one is open over it: such a
    /// table is published under a lock.
    pub(super) locks: bool,
    /// One change of the publication at a time.
    pub(super) turn: Mutex<()>,
}

/// Transactions that have written to a table. They hold such a lock until they end.
const WRITERS: &str = "
SELECT DISTINCT l.virtualtransaction, l.pid
  FROM pg_catalog.pg_locks l
 WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY($1::oid[])
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
   AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
   AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()";

impl Publisher {
    /// Sees to it that all changes of the table are told from now on: a snapshot that is taken after it
    /// has those of every transaction of which a part is not told.
    ///
    /// A transaction that has written to the table before it was published is in no stream with what it
    /// wrote before. It holds a lock on the table, so it is known, and its end is waited for. Others
    /// are not held up: what they write from now on is published.
    pub(super) async fn publish(&self, table: &Described) -> Result<(), SourceError> {
        let oid = table.oid();
        if self.catalog.is_ready(oid) {
            return Ok(());
        }
        let deadline = Instant::now() + self.patience;
        self.catalog.refresh(&[oid]).await?;
        let now = self.catalog.get(oid).ok_or(SourceError::Altered)?;
        if !now.is_told() {
            self.alter(&now, deadline).await?;
            self.catalog.refresh(&[oid]).await?;
        }
        let now = self.catalog.get(oid).ok_or(SourceError::Altered)?;
        if !now.is_told() {
            let text = format!("table {} cannot be published whole", now.name());
            return Err(SourceError::Unavailable(text));
        }
        self.writers(&now, deadline).await?;
        self.catalog.set_ready(oid);
        Ok(())
    }

    async fn alter(&self, table: &Described, deadline: Instant) -> Result<(), SourceError> {
        let mut pause = Duration::from_millis(20);
        loop {
            let turn = self.turn.lock().await;
            let result = self.attempt(table).await;
            drop(turn);
            let error = match result {
                Ok(()) => return Ok(()),
                Err(Attempt::Source(error)) => return Err(error),
                Err(Attempt::Database(error)) => error,
            };
            // Others may publish tables at the same moment, and locks pass.
            let passing = [
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::DUPLICATE_OBJECT,
                SqlState::INTERNAL_ERROR,
            ];
            let passes = passing.iter().any(|code| has_code(&error, code));
            if !passes || Instant::now() + pause > deadline {
                return Err(self.refused(table, &error));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            // Another one may have done it.
            self.catalog.refresh(&[table.oid()]).await?;
            if self
                .catalog
                .get(table.oid())
                .is_none_or(|now| now.is_told())
            {
                return Ok(());
            }
        }
    }

    async fn attempt(&self, table: &Described) -> Result<(), Attempt> {
        let mut client = self
            .pool
            .get()
            .await
            .map_err(|e| Attempt::Source(pool_error(&e)))?;
        let transaction = client.transaction().await?;
        // Writers queue behind a lock that is waited for, so the wait is short.
        transaction
            .batch_execute("SET LOCAL lock_timeout = '500ms'")
            .await?;
        for sql in self.statements(table) {
            transaction.batch_execute(&sql).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    fn statements(&self, table: &Described) -> Vec<String> {
        let mut statements = Vec::new();
        for part in table.parts.iter().filter(|part| !part.full) {
            statements.push(format!("ALTER TABLE {} REPLICA IDENTITY FULL", part.name));
        }
        if self.locks {
            statements.push(format!("LOCK TABLE {} IN SHARE MODE", table.name()));
        }
        if table.parts.iter().any(|part| !part.published) {
            let publication = quote_identifier(&self.publication);
            let name = table.name();
            statements.push(format!("ALTER PUBLICATION {publication} ADD TABLE {name}"));
        }
        statements
    }

    fn refused(&self, table: &Described, error: &tokio_postgres::Error) -> SourceError {
        if has_code(error, &SqlState::INSUFFICIENT_PRIVILEGE) {
            let statements = self.statements(table).join("; ");
            tracing::error!(
                table = %table.name(),
                error = %words(error),
                "the role may not publish the table, which is needed so that its changes are told; the \
                 owner of the table and of the publication does it by: {statements};"
            );
            return SourceError::Unavailable("the table is not published".into());
        }
        source_error(error)
    }

    /// Waits for those who have written to the table before now.
    async fn writers(&self, table: &Described, deadline: Instant) -> Result<(), SourceError> {
        let oids = table.part_oids();
        let mut open: Option<HashSet<(String, Option<i32>)>> = None;
        let mut pause = Duration::from_millis(5);
        loop {
            let client = self.pool.get().await.map_err(|e| pool_error(&e))?;
            let rows = client.query(WRITERS, &[&oids]).await;
            drop(client);
            let rows = rows.map_err(|e| source_error(&e))?;
            let now: HashSet<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let left = match &open {
                None => now,
                Some(before) => before.intersection(&now).cloned().collect(),
            };
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() + pause > deadline {
                let pids: Vec<i32> = left.iter().filter_map(|(_, pid)| *pid).collect();
                tracing::warn!(
                    table = %table.name(), ?pids,
                    "a first shape of the table waits for transactions that have written to it"
                );
                let text = "a transaction that has written to the table is still open";
                return Err(SourceError::Unavailable(text.into()));
            }
            open = Some(left);
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

enum Attempt {
    Database(tokio_postgres::Error),
    Source(SourceError),
}

impl From<tokio_postgres::Error> for Attempt {
    fn from(error: tokio_postgres::Error) -> Attempt {
        Attempt::Database(error)
    }
}
