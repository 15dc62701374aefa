//! Tables in memory.

mod column;
mod store;

use crate::predicate::PredicateError;
use crate::source::{Bounds, BoxFuture, Event, Query, Relation, Snapshot, Source, SourceError};
use crate::table::{RelationName, Row, Table};
use column::canonical;
use futures_util::stream::{self, StreamExt};
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::{Operation, Store, Stored, Values, tell};
use tokio::sync::{Mutex, mpsc};

/// Transactions that wait for a follower before a commit waits, too.
const QUEUE: usize = 256;

/// Typed tables in this process, with transactions: the source of examples and tests, and of
/// services that need no database. It is a table store, not Postgres: it has no SQL but the
/// [`Predicate`](crate::Predicate)s, and it is empty when the process starts.
///
/// A commit takes the next transaction id and position under one lock, and reaches every shape in
/// that order.
///
/// ```
/// # tokio_test(async {
/// use channel_sync::{MemorySource, Table, Type};
/// let source = MemorySource::new();
/// source.create(Table::new("public", "todos")
///     .column("id", Type::Int8)
///     .column("title", Type::Text)
///     .primary_key(["id"])).await?;
/// let mut tx = source.begin();
/// tx.insert("todos", [("id", Some("1")), ("title", Some("milk"))])?;
/// tx.update("todos", "id = $1", &["1"], [("title", Some("oat milk"))])?;
/// let xid = tx.commit().await?;
/// # Ok::<(), channel_sync::MemoryError>(()) });
/// # fn tokio_test<F: std::future::Future<Output = Result<(), channel_sync::MemoryError>>>(f: F) {
/// #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f).unwrap() }
/// ```
#[derive(Clone)]
pub struct MemorySource {
    store: Arc<Mutex<Store>>,
}

/// A transaction or a definition that the tables refuse. Nothing of it is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The name is not valid, or no table has it.
    #[error("{0}")]
    Relation(String),
    /// A table of this name is there already.
    #[error("table {0} exists")]
    Exists(RelationName),
    /// The table has no such column.
    #[error("table {0} has no column {1:?}")]
    Column(RelationName, String),
    /// The text is not a value of the column's type.
    #[error("column {column:?} is a {ty}: {text:?} is none")]
    Value {
        /// The column.
        column: String,
        /// Its type.
        ty: String,
        /// The text.
        text: String,
    },
    /// The column may not be null.
    #[error("column {0:?} may not be null")]
    NotNull(String),
    /// Two rows have the same primary key.
    #[error("a row with the key {0} exists")]
    Duplicate(String),
    /// The predicate is refused.
    #[error(transparent)]
    Predicate(#[from] PredicateError),
    /// The predicate has no value for a row.
    #[error(transparent)]
    Evaluation(#[from] crate::EvalError),
}

/// A transaction: all of its changes are applied at once when it commits, or none.
pub struct MemoryTransaction {
    store: Arc<Mutex<Store>>,
    operations: Vec<Operation>,
}

impl Default for MemorySource {
    fn default() -> MemorySource {
        MemorySource::new()
    }
}

impl MemorySource {
    /// A source without tables.
    pub fn new() -> MemorySource {
        MemorySource {
            store: Arc::new(Mutex::new(Store::new())),
        }
    }

    /// Creates a table.
    ///
    /// # Errors
    ///
    /// A table of its name exists.
    pub async fn create(&self, table: Table) -> Result<(), MemoryError> {
        let mut store = self.store.lock().await;
        let name = table.name().clone();
        if store.names.contains_key(&name) {
            return Err(MemoryError::Exists(name));
        }
        let id = store.next_relation;
        store.next_relation += 1;
        let relation = Arc::new(Relation { id, table });
        store.names.insert(name, id);
        let stored = Stored {
            relation,
            rows: BTreeMap::new(),
            keys: HashMap::new(),
        };
        store.tables.insert(id, stored);
        Ok(())
    }

    /// Drops a table. Its shapes end.
    ///
    /// # Errors
    ///
    /// There is no such table.
    pub async fn drop_table(&self, name: &str) -> Result<(), MemoryError> {
        let mut store = self.store.lock().await;
        let id = store.named(&parse_name(name)?)?.relation.id;
        let permits = store.permits().await;
        let Some(stored) = store.tables.remove(&id) else {
            return Ok(());
        };
        store.names.remove(stored.relation.table.name());
        tell(permits, &Event::Ended { relation: id });
        Ok(())
    }

    /// Gives a table other columns or another name. `convert` makes each new row from the old one;
    /// clients with a shape of the table begin it again.
    ///
    /// # Errors
    ///
    /// There is no such table, another table has the new name, or a row has no value for a column.
    pub async fn alter(
        &self,
        name: &str,
        table: Table,
        convert: impl Fn(&Row) -> Row,
    ) -> Result<(), MemoryError> {
        let mut store = self.store.lock().await;
        let old_name = parse_name(name)?;
        let id = store.named(&old_name)?.relation.id;
        let new_name = table.name().clone();
        if new_name != old_name && store.names.contains_key(&new_name) {
            return Err(MemoryError::Exists(new_name));
        }
        let mut rows = BTreeMap::new();
        let mut keys = HashMap::new();
        for (place, row) in &store.named(&old_name)?.rows {
            let row = convert(row);
            let values = table.columns().iter().zip(0..);
            let row: Result<Row, MemoryError> = values
                .map(|(column, i)| canonical(column, row.get(i)))
                .collect();
            let row = row?;
            if table.key_columns().next().is_some() {
                keys.insert(table.row_key(&row), *place);
            }
            rows.insert(*place, row);
        }
        let permits = store.permits().await;
        let relation = Arc::new(Relation { id, table });
        store.names.remove(&old_name);
        store.names.insert(new_name, id);
        store.tables.insert(
            id,
            Stored {
                relation: relation.clone(),
                rows,
                keys,
            },
        );
        tell(permits, &Event::Altered(relation));
        Ok(())
    }

    /// Begins a transaction. Nothing is done before it [commits](MemoryTransaction::commit).
    pub fn begin(&self) -> MemoryTransaction {
        MemoryTransaction {
            store: self.store.clone(),
            operations: Vec::new(),
        }
    }
}

impl MemoryTransaction {
    /// Inserts a row. Columns that are not named are null.
    ///
    /// # Errors
    ///
    /// The table's name is not one.
    pub fn insert<'a>(
        &mut self,
        table: &str,
        values: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(), MemoryError> {
        let values = owned(values);
        self.operations
            .push(Operation::Insert(parse_name(table)?, values));
        Ok(())
    }

    /// Sets columns of the rows of a predicate.
    ///
    /// # Errors
    ///
    /// The table's name is not one.
    pub fn update<'a>(
        &mut self,
        table: &str,
        predicate: &str,
        params: &[&str],
        values: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(), MemoryError> {
        let params = params.iter().map(|p| SmolStr::from(*p)).collect();
        let name = parse_name(table)?;
        self.operations.push(Operation::Update(
            name,
            predicate.into(),
            params,
            owned(values),
        ));
        Ok(())
    }

    /// Deletes the rows of a predicate.
    ///
    /// # Errors
    ///
    /// The table's name is not one.
    pub fn delete(
        &mut self,
        table: &str,
        predicate: &str,
        params: &[&str],
    ) -> Result<(), MemoryError> {
        let params = params.iter().map(|p| SmolStr::from(*p)).collect();
        self.operations.push(Operation::Delete(
            parse_name(table)?,
            predicate.into(),
            params,
        ));
        Ok(())
    }

    /// Deletes all rows. Who has a shape of the table begins it again.
    ///
    /// # Errors
    ///
    /// The table's name is not one.
    pub fn truncate(&mut self, table: &str) -> Result<(), MemoryError> {
        self.operations
            .push(Operation::Truncate(parse_name(table)?));
        Ok(())
    }

    /// Does all of it, and returns the transaction's id: the one in the `txids` of its changes. It
    /// waits while a shape's reader is behind.
    ///
    /// # Errors
    ///
    /// A table, a column or a value is not as the tables are declared, or a key is there twice.
    /// Nothing is done.
    pub async fn commit(self) -> Result<u64, MemoryError> {
        let mut store = self.store.lock().await;
        let permits = store.permits().await;
        let mut changes = Vec::new();
        let mut undo = Vec::new();
        for operation in self.operations {
            if let Err(error) = store.apply(operation, &mut changes, &mut undo) {
                store.revert(undo);
                return Err(error);
            }
        }
        Ok(store.send(permits, changes))
    }
}

fn owned<'a>(values: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Values {
    values
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.map(SmolStr::from)))
        .collect()
}

fn parse_name(name: &str) -> Result<RelationName, MemoryError> {
    RelationName::parse(name).map_err(MemoryError::Relation)
}

impl Source for MemorySource {
    fn relation<'a>(
        &'a self,
        name: &'a RelationName,
    ) -> BoxFuture<'a, Result<Option<Arc<Relation>>, SourceError>> {
        Box::pin(async move {
            let store = self.store.lock().await;
            Ok(store.named(name).ok().map(|stored| stored.relation.clone()))
        })
    }

    fn snapshot<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Snapshot, SourceError>> {
        Box::pin(async move {
            let (bounds, lsn, rows) = {
                let store = self.store.lock().await;
                let rows: Vec<Row> = match store.tables.get(&query.relation.id) {
                    // Clones of a row share its values.
                    Some(stored) if query.limit != Some(0) => {
                        stored.rows.values().cloned().collect()
                    }
                    _ => Vec::new(),
                };
                let xid = store.next_xid;
                (
                    Bounds {
                        xmin: xid,
                        xmax: xid,
                        xip: vec![],
                    },
                    store.lsn,
                    rows,
                )
            };
            let mut found = Vec::new();
            'rows: for row in rows {
                for filter in &query.filters {
                    if !filter.matches(&row)? {
                        continue 'rows;
                    }
                }
                found.push(row);
            }
            if let Some(order) = query.order {
                found.sort_by(|a, b| order.compare(a, b));
            }
            let limit = query
                .limit
                .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
            let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
            let rows = found.into_iter().skip(offset).take(limit).map(Ok);
            Ok(Snapshot {
                bounds,
                lsn,
                rows: stream::iter(rows.collect::<Vec<_>>()).boxed(),
            })
        })
    }

    fn changes(&self) -> BoxFuture<'_, Result<mpsc::Receiver<Event>, SourceError>> {
        Box::pin(async move {
            let (sender, receiver) = mpsc::channel(QUEUE);
            self.store.lock().await.followers.push(sender);
            Ok(receiver)
        })
    }
}
