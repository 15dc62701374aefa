//! Tables in memory.

use crate::predicate::{Predicate, PredicateError};
use crate::source::{
    Bounds, BoxFuture, Change, Event, Query, Relation, Snapshot, Source, SourceError, Transaction,
};
use crate::table::{Column, Modifier, RelationName, Row, Table};
use crate::value::{Type, Value};
use futures_util::stream::{self, StreamExt};
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Transactions that wait for a follower before a commit waits, too.
const QUEUE: usize = 256;

/// Typed tables in this process, with transactions: the source of examples and tests, and of
/// services that need no database. It is a table store, not Postgres: it has no SQL but the
/// [`Predicate`]s, and it is empty when the process starts.
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
    /// The name is none, or no table has it.
    #[error("{0}")]
    Relation(String),
    /// A table of this name is there already.
    #[error("table {0} exists")]
    Exists(RelationName),
    /// The table has no such column.
    #[error("table {0} has no column {1:?}")]
    Column(RelationName, String),
    /// The text is no value of the column's type.
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

struct Store {
    tables: HashMap<u32, Stored>,
    names: HashMap<RelationName, u32>,
    followers: Vec<mpsc::Sender<Event>>,
    next_relation: u32,
    next_row: u64,
    next_xid: u64,
    lsn: u64,
}

struct Stored {
    relation: Arc<Relation>,
    /// In the order in which they were written, as a heap has them.
    rows: BTreeMap<u64, Row>,
    /// Of a table with a primary key.
    keys: HashMap<String, u64>,
}

/// A transaction: what is added to it is done at once when it commits, or not at all.
pub struct MemoryTransaction {
    store: Arc<Mutex<Store>>,
    operations: Vec<Operation>,
}

type Values = Vec<(String, Option<SmolStr>)>;

enum Operation {
    Insert(RelationName, Values),
    Update(RelationName, String, Vec<SmolStr>, Values),
    Delete(RelationName, String, Vec<SmolStr>),
    Truncate(RelationName),
}

enum Undo {
    Remove(u32, u64),
    Restore(u32, u64, Row),
    RestoreAll(u32, BTreeMap<u64, Row>, HashMap<String, u64>),
}

impl Default for MemorySource {
    fn default() -> MemorySource {
        MemorySource::new()
    }
}

impl MemorySource {
    /// A source without tables.
    pub fn new() -> MemorySource {
        let store = Store {
            tables: HashMap::new(),
            names: HashMap::new(),
            followers: Vec::new(),
            next_relation: 16_384,
            next_row: 0,
            // Postgres' first ordinary transaction; the first segment of its log.
            next_xid: 3,
            lsn: 0x100_0000,
        };
        MemorySource {
            store: Arc::new(Mutex::new(store)),
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

    /// Gives a table other columns or another name. Each row is what `convert` makes of it; who has
    /// a shape of the table begins it again.
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

impl Store {
    fn named(&self, name: &RelationName) -> Result<&Stored, MemoryError> {
        let missing = || MemoryError::Relation(format!("table {name} does not exist"));
        let id = self.names.get(name).ok_or_else(missing)?;
        self.tables.get(id).ok_or_else(missing)
    }

    /// A place in every follower's queue, so that nothing is done that cannot be told.
    async fn permits(&mut self) -> Vec<mpsc::OwnedPermit<Event>> {
        self.followers.retain(|follower| !follower.is_closed());
        let mut permits = Vec::with_capacity(self.followers.len());
        for follower in &self.followers {
            if let Ok(permit) = follower.clone().reserve_owned().await {
                permits.push(permit);
            }
        }
        permits
    }

    fn send(&mut self, permits: Vec<mpsc::OwnedPermit<Event>>, changes: Vec<Change>) -> u64 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.lsn += 64 + 64 * changes.len() as u64;
        let transaction = Transaction {
            xid,
            lsn: self.lsn,
            changes,
            complete: true,
        };
        tell(permits, &Event::Transaction(transaction));
        xid
    }

    fn apply(
        &mut self,
        operation: Operation,
        changes: &mut Vec<Change>,
        undo: &mut Vec<Undo>,
    ) -> Result<(), MemoryError> {
        match operation {
            Operation::Insert(name, values) => {
                let stored = self.named(&name)?;
                let id = stored.relation.id;
                let row = fill(&stored.relation.table, None, &values)?;
                self.put(id, row.clone(), undo)?;
                changes.push(Change::Insert {
                    relation: id,
                    new: row,
                });
            }
            Operation::Update(name, text, params, values) => {
                let (id, found) = self.find(&name, &text, &params)?;
                for (place, old) in found {
                    let new = fill(&self.named(&name)?.relation.table, Some(&old), &values)?;
                    self.take(id, place, undo);
                    self.put(id, new.clone(), undo)?;
                    changes.push(Change::Update {
                        relation: id,
                        old,
                        new,
                    });
                }
            }
            Operation::Delete(name, text, params) => {
                let (id, found) = self.find(&name, &text, &params)?;
                for (place, old) in found {
                    self.take(id, place, undo);
                    changes.push(Change::Delete { relation: id, old });
                }
            }
            Operation::Truncate(name) => {
                let id = self.named(&name)?.relation.id;
                if let Some(stored) = self.tables.get_mut(&id) {
                    let rows = std::mem::take(&mut stored.rows);
                    let keys = std::mem::take(&mut stored.keys);
                    undo.push(Undo::RestoreAll(id, rows, keys));
                }
                changes.push(Change::Truncate { relation: id });
            }
        }
        Ok(())
    }

    /// The rows of a predicate; by their key where it says which.
    fn find(
        &self,
        name: &RelationName,
        text: &str,
        params: &[SmolStr],
    ) -> Result<(u32, Vec<(u64, Row)>), MemoryError> {
        let stored = self.named(name)?;
        let table = &stored.relation.table;
        let predicate = Predicate::parse(text, table, params)?;
        let mut found = Vec::new();
        let mut test = |place: u64, row: &Row| -> Result<(), MemoryError> {
            if predicate.matches(row)? {
                found.push((place, row.clone()));
            }
            Ok(())
        };
        let mut key = table.key_columns().map(|name| table.column_index(name));
        let only = if let (Some(first), None) = (key.next(), key.next()) {
            first
        } else {
            None
        };
        match predicate.keys() {
            Some(keys) if Some(keys.column) == only => {
                for value in keys.values {
                    let probe: Row = (0..table.columns().len())
                        .map(|i| (i == keys.column).then(|| value.clone()))
                        .collect();
                    if let Some(place) = stored.keys.get(&table.row_key(&probe))
                        && let Some(row) = stored.rows.get(place)
                    {
                        test(*place, row)?;
                    }
                }
            }
            _ => {
                for (place, row) in &stored.rows {
                    test(*place, row)?;
                }
            }
        }
        Ok((stored.relation.id, found))
    }

    fn put(&mut self, id: u32, row: Row, undo: &mut Vec<Undo>) -> Result<(), MemoryError> {
        let place = self.next_row;
        self.next_row += 1;
        let Some(stored) = self.tables.get_mut(&id) else {
            return Ok(());
        };
        let table = &stored.relation.table;
        if table.key_columns().next().is_some() {
            let key = table.row_key(&row);
            if stored.keys.contains_key(&key) {
                return Err(MemoryError::Duplicate(key));
            }
            stored.keys.insert(key, place);
        }
        stored.rows.insert(place, row);
        undo.push(Undo::Remove(id, place));
        Ok(())
    }

    fn take(&mut self, id: u32, place: u64, undo: &mut Vec<Undo>) {
        if let Some(stored) = self.tables.get_mut(&id)
            && let Some(row) = stored.rows.remove(&place)
        {
            stored.keys.remove(&stored.relation.table.row_key(&row));
            undo.push(Undo::Restore(id, place, row));
        }
    }

    fn revert(&mut self, undo: Vec<Undo>) {
        for step in undo.into_iter().rev() {
            match step {
                Undo::Remove(id, place) => self.take(id, place, &mut Vec::new()),
                Undo::Restore(id, place, row) => {
                    if let Some(stored) = self.tables.get_mut(&id) {
                        let table = &stored.relation.table;
                        if table.key_columns().next().is_some() {
                            stored.keys.insert(table.row_key(&row), place);
                        }
                        stored.rows.insert(place, row);
                    }
                }
                Undo::RestoreAll(id, rows, keys) => {
                    if let Some(stored) = self.tables.get_mut(&id) {
                        stored.rows = rows;
                        stored.keys = keys;
                    }
                }
            }
        }
    }
}

fn tell(permits: Vec<mpsc::OwnedPermit<Event>>, event: &Event) {
    for permit in permits {
        permit.send(event.clone());
    }
}

/// A whole row: the named values in the columns' form, the rest of `old` or null.
fn fill(table: &Table, old: Option<&Row>, values: &Values) -> Result<Row, MemoryError> {
    let mut texts: Vec<Option<SmolStr>> = (0..table.columns().len())
        .map(|i| old.and_then(|row| row.get(i)).map(SmolStr::from))
        .collect();
    for (name, text) in values {
        let missing = || MemoryError::Column(table.name().clone(), name.clone());
        let index = table.column_index(name).ok_or_else(missing)?;
        texts[index] = text.clone();
    }
    texts
        .iter()
        .zip(table.columns())
        .map(|(t, column)| canonical(column, t.as_deref()))
        .collect()
}

/// The text that Postgres would give back.
fn canonical(column: &Column, text: Option<&str>) -> Result<Option<SmolStr>, MemoryError> {
    let Some(text) = text else {
        if column.is_not_null() {
            return Err(MemoryError::NotNull(column.name().to_owned()));
        }
        return Ok(None);
    };
    let wrong = || MemoryError::Value {
        column: column.name().to_owned(),
        ty: column.ty().to_string(),
        text: text.to_owned(),
    };
    let value = Value::parse(text, column.ty()).map_err(|_| wrong())?;
    let value = modified(value, column.modified_by(), column.ty()).ok_or_else(wrong)?;
    Ok(value.to_text(column.ty()).map(SmolStr::from))
}

/// The value within the type's modifier, as Postgres rounds and pads it; `None` if it is too long.
fn modified(value: Value, modifier: &Modifier, ty: &Type) -> Option<Value> {
    Some(match (modifier, value) {
        (modifier, Value::Array(mut array)) => {
            let element = ty.element()?;
            let items = std::mem::take(&mut array.items);
            let items: Option<Vec<_>> = items
                .into_iter()
                .map(|item| modified(item, modifier, element))
                .collect();
            array.items = items?;
            Value::Array(array)
        }
        (Modifier::MaxLength(most), Value::Text(text)) => {
            let most = *most as usize;
            match text.char_indices().nth(most) {
                None => Value::Text(text),
                Some((at, _)) if text[at..].chars().all(|c| c == ' ') => Value::text(&text[..at]),
                Some(_) => return None,
            }
        }
        (Modifier::Length(length), Value::Text(text)) if *ty == Type::Bpchar => {
            let trimmed = text.trim_end_matches(' ');
            let missing = (*length as usize).checked_sub(trimmed.chars().count())?;
            Value::text(format!("{trimmed}{}", " ".repeat(missing)))
        }
        (Modifier::Numeric(precision, scale), Value::Numeric(number)) => {
            Value::Numeric(number.rounded(*precision, *scale)?)
        }
        (Modifier::Precision(digits), Value::Time(t)) => Value::Time(round(t, *digits)?),
        (Modifier::Precision(digits), Value::Timestamp(t)) if t != i64::MAX && t != i64::MIN => {
            Value::Timestamp(round(t, *digits)?)
        }
        (_, value) => value,
    })
}

/// Microseconds rounded to so many digits of a second, half away from zero.
fn round(micros: i64, digits: u32) -> Option<i64> {
    let unit = 10i64.checked_pow(6u32.checked_sub(digits)?)?;
    let half = if micros < 0 { -(unit / 2) } else { unit / 2 };
    Some((micros.checked_add(half)? / unit) * unit)
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
