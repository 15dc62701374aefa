//! Why a database cannot be a source.

use crate::source::SourceError;
use tokio_postgres::error::SqlState;

/// The database cannot be a source as it is. The text says what is missing and how it is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The URL cannot be used.
    #[error("the URL of the database cannot be used: {0}")]
    Url(String),
    /// No slot can have the name.
    #[error(
        "{0:?} cannot name a slot: a name has 1 to 63 lower-case letters, digits and underscores"
    )]
    Slot(String),
    /// There is no connection.
    #[error("the database cannot be reached: {0}")]
    Connect(String),
    /// The server is older than 14.
    #[error("PostgreSQL 14 or later is needed, this is {0}")]
    Version(String),
    /// `wal_level` is not `logical`.
    #[error(
        "wal_level is {0}, and changes are streamed with `logical` only: ALTER SYSTEM SET wal_level = logical; \
         then restart the server"
    )]
    WalLevel(String),
    /// The role may not replicate.
    #[error(
        "the role may not open a replication connection ({cause}), which the changes come through: \
         ALTER ROLE {role} REPLICATION;"
    )]
    Replication {
        /// The role, quoted.
        role: String,
        /// The server's words.
        cause: String,
    },
    /// The publication is missing, and the role may not make it.
    #[error(
        "the publication {publication} is not there and the role may not make one: GRANT CREATE ON DATABASE \
         {database} TO {role}; or, by the tables' owner, CREATE PUBLICATION {publication};"
    )]
    NoPublication {
        /// The publication, quoted.
        publication: String,
        /// The database, quoted.
        database: String,
        /// The role, quoted.
        role: String,
    },
    /// The publication leaves out changes.
    #[error(
        "the publication {0} leaves out changes or tells partitions as their root: ALTER PUBLICATION {0} SET \
         (publish = 'insert, update, delete, truncate', publish_via_partition_root = false);"
    )]
    Publication(String),
    /// The server refuses something else.
    #[error("the database refuses: {0}")]
    Refused(String),
}

/// The server's words with their details, or those of the connection.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => match db.hint() {
            Some(hint) => format!("{} ({hint})", db.message()),
            None => db.message().to_owned(),
        },
        None => {
            use std::error::Error as _;
            match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            }
        }
    }
}

pub(super) fn has_code(error: &tokio_postgres::Error, code: &SqlState) -> bool {
    error.code() == Some(code)
}

/// Converts a query's error into the source's.
pub(super) fn source_error(error: &tokio_postgres::Error) -> SourceError {
    match error.code() {
        Some(code) if *code == SqlState::DIVISION_BY_ZERO => {
            crate::EvalError::DivisionByZero.into()
        }
        // Data exceptions: a predicate has no value for a row.
        Some(code) if code.code().starts_with("22") => {
            crate::EvalError::Database(words(error)).into()
        }
        Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN => {
            SourceError::Altered
        }
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
            SourceError::Unavailable("the table is locked".into())
        }
        Some(_) => {
            tracing::warn!(error = %words(error), "the database refuses a query");
            SourceError::Unavailable("the database refuses a query".into())
        }
        None => {
            tracing::warn!(error = %words(error), "the database is not reachable");
            SourceError::Unavailable("the database is not reachable".into())
        }
    }
}

pub(super) fn pool_error(error: &deadpool_postgres::PoolError) -> SourceError {
    match error {
        deadpool_postgres::PoolError::Backend(error) => source_error(error),
        other => SourceError::Unavailable(format!("no connection to the database: {other}")),
    }
}
