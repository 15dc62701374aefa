//! Where tables, rows and changes come from.

use crate::predicate::{Order, Predicate};
use crate::table::{RelationName, Row, Table};
use futures_util::stream::BoxStream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A future in a box, so that a [`Source`] can be one of several behind the same type.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The source cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is not reachable, or too busy: the same request may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// A predicate has no value for a row, as when it divides by zero.
    #[error("{0}")]
    Evaluation(#[from] crate::EvalError),
    /// The table is there, and can be no shape: the text says why.
    #[error("{0}")]
    Unfit(String),
    /// The table is another by now: its columns, its name or its identity.
    #[error("the table was altered meanwhile")]
    Altered,
}

/// A table with the identity that it keeps when it is renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The identity: no two tables have the same, also not one after another.
    pub id: u32,
    /// The table as it is now.
    pub table: Table,
}

/// The selection of rows for a snapshot.
#[derive(Debug)]
#[non_exhaustive]
pub struct Query<'a> {
    /// The table.
    pub relation: &'a Arc<Relation>,
    /// Filters that a row must all match.
    pub filters: Vec<&'a Predicate>,
    /// The order of the rows; any order without it.
    pub order: Option<&'a Order>,
    /// The most rows; 0 asks for the position only.
    pub limit: Option<u64>,
    /// Number of rows to skip.
    pub offset: u64,
}

impl<'a> Query<'a> {
    /// Creates a query for no rows, which asks for the position only.
    pub fn position(relation: &'a Arc<Relation>) -> Query<'a> {
        Query {
            relation,
            filters: Vec::new(),
            order: None,
            limit: Some(0),
            offset: 0,
        }
    }
}

/// The rows of a snapshot, and the transactions that it contains.
pub struct Snapshot {
    /// The transactions that are in it.
    pub bounds: Bounds,
    /// Every change up to here is in it.
    pub lsn: u64,
    /// The rows.
    pub rows: BoxStream<'static, Result<Row, SourceError>>,
}

/// Which transactions a snapshot has, as Postgres says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// All transactions before it are over.
    pub xmin: u64,
    /// No transaction from it on has begun.
    pub xmax: u64,
    /// Those between that are not over.
    pub xip: Vec<u64>,
}

impl Bounds {
    /// Returns true if the snapshot contains the transaction's changes. Compares ids as Postgres
    /// does, modulo 2³².
    ///
    /// ```
    /// use channel_sync::Bounds;
    /// let bounds = Bounds { xmin: 10, xmax: 13, xip: vec![11] };
    /// assert!(bounds.has(9) && bounds.has(12));
    /// assert!(!bounds.has(11) && !bounds.has(13));
    /// ```
    pub fn has(&self, xid: u64) -> bool {
        let before = |a: u64, b: u64| ((a as u32).wrapping_sub(b as u32) as i32) < 0;
        before(xid, self.xmin)
            || (before(xid, self.xmax) && !self.xip.iter().any(|open| *open as u32 == xid as u32))
    }
}

/// An event of a source's tables. Events come in this order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A committed transaction, or a part of it.
    Transaction(Transaction),
    /// The parts of the transaction that is not complete are void: it comes again from its start,
    /// as when a connection was cut in the middle of it.
    Restarted,
    /// The table has other columns or another name from here on.
    Altered(Arc<Relation>),
    /// The table is gone, or its changes can no longer be read: its shapes end.
    Ended {
        /// The table's identity.
        relation: u32,
    },
    /// Changes of any table may be lost: all shapes end.
    Lost,
}

/// A committed transaction, or a part of one. Transactions come in the order of their commits, which
/// is that of their `lsn`.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Its id.
    pub xid: u64,
    /// The position of its commit; each is greater than the one before.
    pub lsn: u64,
    /// Its changes, in order.
    pub changes: Vec<Change>,
    /// True if the transaction is complete with these changes. A transaction with too many changes
    /// for the memory comes in parts, with the same `xid` and `lsn`, and no other transaction
    /// between them.
    pub complete: bool,
}

/// One change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// A new row.
    Insert {
        /// The table's identity.
        relation: u32,
        /// The row.
        new: Row,
    },
    /// A row that is another now, or the same.
    Update {
        /// The table's identity.
        relation: u32,
        /// The whole row before.
        old: Row,
        /// The whole row after.
        new: Row,
    },
    /// A deleted row.
    Delete {
        /// The table's identity.
        relation: u32,
        /// The whole row.
        old: Row,
    },
    /// All rows are deleted.
    Truncate {
        /// The table's identity.
        relation: u32,
    },
}

/// A database, as far as shapes need it.
///
/// The contract: a snapshot and the changes join without a hole and without a double. Every
/// transaction that is not in a snapshot's [`Bounds`] and touches its table comes in
/// [`changes`](Source::changes) after the snapshot was asked for.
pub trait Source: Send + std::marker::Sync + 'static {
    /// The table of this name.
    ///
    /// # Errors
    ///
    /// The source is not reachable and has not seen the table before, or the table can be no shape.
    fn relation<'a>(
        &'a self,
        name: &'a RelationName,
    ) -> BoxFuture<'a, Result<Option<Arc<Relation>>, SourceError>>;

    /// Returns rows as of one moment.
    fn snapshot<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Snapshot, SourceError>>;

    /// Returns every transaction from now on, and events of the tables. The channel is bounded: a
    /// source waits for a slow reader.
    ///
    /// # Errors
    ///
    /// The source is not reachable, or has its one follower already.
    fn changes(&self) -> BoxFuture<'_, Result<mpsc::Receiver<Event>, SourceError>>;

    /// Every shape has stored the transactions up to this one, by the position of its commit: the
    /// source need not keep them.
    fn stored(&self, lsn: u64) {
        let _ = lsn;
    }

    /// How the source is.
    fn health(&self) -> BoxFuture<'_, SourceHealth> {
        Box::pin(async { SourceHealth::default() })
    }
}

/// How a [`Source`] is. What it does not have is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceHealth {
    /// True if changes are read. A source that is not connected serves the stored shapes.
    pub connected: bool,
    /// The replication slot.
    pub slot: Option<String>,
    /// The position in the database's log up to which all is stored.
    pub stored: Option<u64>,
    /// Bytes of the log that are not stored yet. The database keeps them.
    pub lag_bytes: Option<u64>,
    /// How long ago all was stored that had been committed.
    pub lag: Option<Duration>,
}

impl Default for SourceHealth {
    fn default() -> SourceHealth {
        SourceHealth {
            connected: true,
            slot: None,
            stored: None,
            lag_bytes: None,
            lag: None,
        }
    }
}
