//! The replication slot and the publication.

use super::config::PostgresConfig;
use super::error::{has_code, words};
use crate::table::quote_identifier;
use deadpool_postgres::Pool;
use pgwire_replication::Lsn;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, GenericClient};

/// Making a slot waits until all open transactions have ended; after this time, a log line says so.
const WAITING: Duration = Duration::from_secs(5);

/// Tells if the stream continues where the last session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuity {
    Kept,
    /// The changes in between are lost.
    New,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SlotError {
    #[error("{}", words(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error(
        "the replication slot {slot} is used by process {pid} of the server: each process needs one of its own"
    )]
    Used { slot: String, pid: i32 },
    #[error("the replication slot {0} is of another plugin or database")]
    Foreign(String),
}

/// Makes the publication unless it is there. Processes that do it at once are one.
pub(super) async fn publication(
    client: &impl GenericClient,
    name: &str,
) -> Result<Continuity, tokio_postgres::Error> {
    let sql = "SELECT 1 FROM pg_publication WHERE pubname = $1";
    if client.query_opt(sql, &[&name]).await?.is_some() {
        return Ok(Continuity::Kept);
    }
    let sql = format!("CREATE PUBLICATION {}", quote_identifier(name));
    match client.batch_execute(&sql).await {
        Err(e)
            if !has_code(&e, &SqlState::DUPLICATE_OBJECT)
                && !has_code(&e, &SqlState::UNIQUE_VIOLATION) =>
        {
            Err(e)
        }
        _ => Ok(Continuity::New),
    }
}

/// The state of the slot in the previous session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// All up to here is stored.
    pub(super) stored: Lsn,
    /// The server's process of that session, which may not know yet that it is over.
    pub(super) pid: i32,
}

/// Makes sure that the slot exists, and that no change after the stored ones was taken from it.
/// Without a previous session, makes the slot anew. Returns the position that the slot begins at.
pub(super) async fn slot(
    client: &Client,
    config: &PostgresConfig,
    before: Option<Before>,
) -> Result<(Continuity, Lsn), SlotError> {
    let slot = &config.slot;
    let sql =
        "SELECT plugin = 'pgoutput' AND database = current_database() AND NOT temporary AS ours,
                      active_pid, coalesce(wal_status, 'lost') = 'lost' AS lost,
                      (confirmed_flush_lsn - '0/0')::text AS confirmed
                 FROM pg_replication_slots WHERE slot_name = $1";
    if let Some(row) = client.query_opt(sql, &[slot]).await? {
        if row.get::<_, Option<bool>>("ours") != Some(true) {
            return Err(SlotError::Foreign(slot.clone()));
        }
        if let Some(pid) = row.get::<_, Option<i32>>("active_pid") {
            if before.is_some_and(|before| before.pid == pid) {
                client
                    .execute("SELECT pg_terminate_backend($1)", &[&pid])
                    .await?;
            }
            return Err(SlotError::Used {
                slot: slot.clone(),
                pid,
            });
        }
        let confirmed = row.get::<_, Option<&str>>("confirmed");
        let confirmed: Option<u64> = confirmed.and_then(|text| text.parse().ok());
        let lost: bool = row.get("lost");
        if let (Some(Before { stored, .. }), Some(confirmed), false) = (before, confirmed, lost)
            && confirmed <= stored.as_u64()
        {
            return Ok((Continuity::Kept, stored));
        }
        client
            .execute("SELECT pg_drop_replication_slot($1::text)", &[slot])
            .await?;
    }
    let sql =
        "SELECT (lsn - '0/0')::text FROM pg_create_logical_replication_slot($1::text, 'pgoutput')";
    let params: [&(dyn ToSql + Sync); 1] = [slot];
    let make = client.query_one(sql, &params);
    tokio::pin!(make);
    let made = match timeout(WAITING, &mut make).await {
        Ok(made) => made?,
        Err(_) => {
            tracing::info!(
                slot,
                "the slot is made when the transactions that are open now have ended"
            );
            make.await?
        }
    };
    tracing::info!(slot, "the replication slot is made");
    let lsn = made.get::<_, &str>(0).parse().map_or(Lsn::ZERO, Lsn);
    Ok((Continuity::New, lsn))
}

/// The server's process that has the slot, if that can be asked.
pub(super) async fn held(pool: &Pool, slot: &str) -> Option<Option<i32>> {
    let client = pool.get().await.ok()?;
    let sql = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1";
    let row = client.query_opt(sql, &[&slot]).await.ok()?;
    Some(row.and_then(|row| row.get(0)))
}
