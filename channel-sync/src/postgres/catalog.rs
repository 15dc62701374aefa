//! Caches the catalogue's descriptions of requested tables, and reports their changes.

use super::describe::{Described, describe};
use super::error::{pool_error, source_error};
use super::pgoutput::Columns;
use crate::source::{Event, SourceError};
use crate::table::RelationName;
use crate::value::Type;
use deadpool_postgres::Pool;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

/// So long a description serves without a look at the catalogue.
const FRESH: Duration = Duration::from_millis(100);

/// So long a look at the catalogue may take.
const LOOK: Duration = Duration::from_secs(5);

pub(super) struct Catalog {
    pool: Pool,
    publication: String,
    known: parking_lot::Mutex<Known>,
    /// Held by one lookup at a time, which serves all callers in the meantime.
    look: Mutex<()>,
    news: parking_lot::Mutex<Option<mpsc::Sender<Event>>>,
}

#[derive(Default)]
struct Known {
    tables: HashMap<u32, Entry>,
    names: HashMap<RelationName, u32>,
    /// Counts the changes that may affect which table a row of the stream belongs to.
    generation: u64,
    failed: Option<Instant>,
}

struct Entry {
    described: Arc<Described>,
    checked: Instant,
    /// True if all later changes of the table are in the stream.
    ready: bool,
}

/// Where the rows of one table of the stream belong.
pub(super) struct Target {
    /// The table: the row's own, or one above it.
    pub(super) root: u32,
    /// For each column of that table, the place in the stream's row.
    pub(super) places: Vec<Option<usize>>,
    /// For each column, whether it is a boolean, which the stream says otherwise.
    pub(super) booleans: Vec<bool>,
}

pub(super) enum Fit {
    Rows(Target),
    /// The stream has another version of the table than is known: whether the catalogue knows better
    /// is to be asked.
    Stale(u32),
}

impl Catalog {
    pub(super) fn new(pool: Pool, publication: String) -> Catalog {
        Catalog {
            pool,
            publication,
            known: parking_lot::Mutex::default(),
            look: Mutex::new(()),
            news: parking_lot::Mutex::new(None),
        }
    }

    pub(super) fn tell(&self, news: mpsc::Sender<Event>) {
        *self.news.lock() = Some(news);
    }

    pub(super) fn generation(&self) -> u64 {
        self.known.lock().generation
    }

    pub(super) fn get(&self, oid: u32) -> Option<Arc<Described>> {
        Some(self.known.lock().tables.get(&oid)?.described.clone())
    }

    pub(super) fn is_ready(&self, oid: u32) -> bool {
        let known = self.known.lock();
        known.tables.get(&oid).is_some_and(|entry| entry.ready)
    }

    pub(super) fn set_ready(&self, oid: u32) {
        if let Some(entry) = self.known.lock().tables.get_mut(&oid) {
            entry.ready = true;
        }
    }

    /// The table of the name, as it is or was a moment ago; as it was when the database is not
    /// reachable.
    pub(super) async fn named(
        &self,
        name: &RelationName,
    ) -> Result<Option<Arc<Described>>, SourceError> {
        let asked = Instant::now();
        if let Some(entry) = self.checked_since(name, asked - FRESH) {
            return Ok(Some(entry));
        }
        let _turn = self.look.lock().await;
        if let Some(entry) = self.checked_since(name, asked) {
            return Ok(Some(entry));
        }
        let failed = self.known.lock().failed;
        let result = if failed.is_some_and(|at| at >= asked) {
            Err(SourceError::Unavailable(
                "the database is not reachable".into(),
            ))
        } else {
            self.look(Some(name), &[]).await
        };
        match result {
            Ok(()) => Ok(self.by_name(name)),
            Err(error) => match self.by_name(name) {
                Some(described) => Ok(Some(described)),
                None => Err(error),
            },
        }
    }

    fn by_name(&self, name: &RelationName) -> Option<Arc<Described>> {
        let known = self.known.lock();
        let oid = known.names.get(name)?;
        Some(known.tables.get(oid)?.described.clone())
    }

    fn checked_since(&self, name: &RelationName, since: Instant) -> Option<Arc<Described>> {
        let known = self.known.lock();
        let entry = known.tables.get(known.names.get(name)?)?;
        (entry.checked >= since).then(|| entry.described.clone())
    }

    /// Looks at the tables of these identities again.
    pub(super) async fn refresh(&self, oids: &[u32]) -> Result<(), SourceError> {
        let _turn = self.look.lock().await;
        self.look(None, oids).await
    }

    /// Looks at every table that has had a shape.
    pub(super) async fn refresh_all(&self) -> Result<(), SourceError> {
        let oids: Vec<u32> = {
            let known = self.known.lock();
            let ready = known.tables.iter().filter(|(_, entry)| entry.ready);
            ready.map(|(oid, _)| *oid).collect()
        };
        if oids.is_empty() {
            return Ok(());
        }
        self.refresh(&oids).await
    }

    async fn look(&self, name: Option<&RelationName>, oids: &[u32]) -> Result<(), SourceError> {
        // The table that had the name before is looked up, too.
        let mut asked = oids.to_vec();
        asked.extend(name.and_then(|name| self.known.lock().names.get(name).copied()));
        let looked = async {
            let client = self.pool.get().await.map_err(|e| pool_error(&e))?;
            let described = describe(&**client, &self.publication, name, &asked).await;
            described.map_err(|e| source_error(&e))
        };
        let found = match tokio::time::timeout(LOOK, looked).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                self.known.lock().failed = Some(Instant::now());
                return Err(error);
            }
            Err(_) => {
                self.known.lock().failed = Some(Instant::now());
                let text = "the database does not answer".into();
                return Err(SourceError::Unavailable(text));
            }
        };
        let news = self.known.lock().update(&asked, found);
        let sender = self.news.lock().clone();
        if let Some(sender) = sender {
            for event in news {
                // The receiver is gone: then nothing needs to be told.
                let _ = sender.send(event).await;
            }
        }
        Ok(())
    }

    /// Ends the shapes of the table: not all of its changes were told.
    pub(super) fn not_told(&self, oid: u32) {
        let mut known = self.known.lock();
        if let Some(entry) = known.tables.get_mut(&oid) {
            entry.ready = false;
        }
    }

    /// The tables that rows of this table of the stream belong to.
    pub(super) fn fits(&self, columns: &Columns) -> Vec<Fit> {
        let known = self.known.lock();
        let entries = known.tables.values();
        let of = entries.filter(|entry| {
            let mut parts = entry.described.parts.iter();
            parts.any(|part| part.oid == columns.oid)
        });
        let mut of: Vec<_> = of.map(|entry| &entry.described).collect();
        // The row's own table, then those above it.
        of.sort_by_key(|described| (described.oid() != columns.oid, described.oid()));
        of.into_iter()
            .map(|described| fit(described, columns))
            .collect()
    }
}

fn fit(described: &Described, columns: &Columns) -> Fit {
    let root = described.oid();
    let own = root == columns.oid;
    let name = described.name();
    let renamed = own && (name.schema != columns.schema || name.name != columns.name);
    let other = own && described.stream != columns.columns;
    match target(described, columns) {
        Some(target) if !renamed && !other => Fit::Rows(target),
        _ => Fit::Stale(root),
    }
}

/// The target, unless a column has another type by now.
pub(super) fn target(described: &Described, columns: &Columns) -> Option<Target> {
    let table = &described.relation.table;
    let mut places = vec![None; table.columns().len()];
    for (at, place) in described.places().enumerate() {
        let wanted = described.stream.get(at)?;
        let mut found = columns.columns.iter().enumerate();
        if let Some((from, column)) = found.find(|(_, column)| column.name == wanted.name) {
            if column.type_oid != wanted.type_oid {
                return None;
            }
            places[place] = Some(from);
        }
    }
    let booleans = table
        .columns()
        .iter()
        .map(|c| *c.ty() == Type::Bool)
        .collect();
    Some(Target {
        root: described.oid(),
        places,
        booleans,
    })
}

impl Known {
    /// Stores the found tables, and returns the events for those that have changed.
    fn update(&mut self, asked: &[u32], found: Vec<Described>) -> Vec<Event> {
        let checked = Instant::now();
        let mut news = Vec::new();
        for oid in asked {
            if !found.iter().any(|described| described.oid() == *oid) {
                self.forget(*oid, &mut news);
            }
        }
        for described in found {
            let oid = described.oid();
            match self.tables.get(&oid) {
                Some(entry) if *entry.described == described => {}
                Some(entry) => news.extend(entry.changed(&described)),
                None => self.generation += 1,
            }
            let ready = self.tables.get(&oid).is_some_and(|entry| entry.ready)
                && described.is_told()
                && described.unfit.is_none();
            let described = Arc::new(described);
            if let Some(entry) = self.tables.get(&oid) {
                let old = entry.described.clone();
                if *old != *described {
                    self.generation += 1;
                }
                if self.names.get(old.name()) == Some(&oid) {
                    self.names.remove(old.name());
                }
            }
            // The table that had the name has it no longer.
            let before = self.names.insert(described.name().clone(), oid);
            if let Some(before) = before.filter(|before| *before != oid && !asked.contains(before))
            {
                self.forget(before, &mut news);
            }
            let entry = Entry {
                described,
                checked,
                ready,
            };
            self.tables.insert(oid, entry);
        }
        news
    }

    fn forget(&mut self, oid: u32, news: &mut Vec<Event>) {
        let Some(entry) = self.tables.remove(&oid) else {
            return;
        };
        self.generation += 1;
        if self.names.get(entry.described.name()) == Some(&oid) {
            self.names.remove(entry.described.name());
        }
        news.push(Event::Ended { relation: oid });
    }
}

impl Entry {
    /// Returns the events to send when the table's description changes.
    fn changed(&self, now: &Described) -> Vec<Event> {
        let old = &self.described;
        let relation = now.oid();
        let untold = self.ready && (!now.is_told() || now.unfit.is_some());
        // A new partition may bring rows that no change has announced.
        if untold || old.part_oids() != now.part_oids() {
            return vec![Event::Ended { relation }];
        }
        if old.relation == now.relation && old.stream == now.stream {
            return Vec::new();
        }
        vec![Event::Altered(now.relation.clone())]
    }
}
