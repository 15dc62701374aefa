//! The stream's rows as those of the tables that shapes are of.

use super::catalog::{Catalog, Fit, Target, target};
use super::pgoutput::{Columns, Message, Old, Tuple, Value};
use super::snapshot::spelled;
use crate::source::{Change, Event, SourceError};
use crate::table::Row;
use std::collections::HashMap;

/// The tables that the stream has told of since it began.
#[derive(Default)]
pub(super) struct Tables {
    told: HashMap<u32, Told>,
}

struct Told {
    columns: Columns,
    targets: Vec<Target>,
    /// The catalogue's generation that the targets are of.
    generation: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RowsError {
    #[error("{0}")]
    Source(#[from] SourceError),
    /// Skipped, its changes would be lost.
    #[error("the stream has changes of table {0} and has not told its columns")]
    Untold(u32),
}

/// The meaning of a message.
#[derive(Default)]
pub(super) struct Meaning {
    pub(super) changes: Vec<Change>,
    /// Comes before the changes.
    pub(super) events: Vec<Event>,
}

impl Tables {
    pub(super) async fn meaning(
        &mut self,
        catalog: &Catalog,
        message: Message,
    ) -> Result<Meaning, RowsError> {
        let mut meaning = Meaning::default();
        match message {
            Message::Relation(columns) => {
                let told = Told {
                    columns,
                    targets: Vec::new(),
                    generation: u64::MAX,
                };
                let oid = told.columns.oid;
                self.told.insert(oid, told);
                self.resolve(catalog, oid, &mut meaning).await?;
            }
            Message::Insert { oid, new } => {
                for target in self.targets(catalog, oid, &mut meaning).await? {
                    meaning.push(target.row(&new, None).map(|new| Change::Insert {
                        relation: target.root,
                        new,
                    }));
                }
            }
            Message::Update { oid, old, new } => {
                for target in self.targets(catalog, oid, &mut meaning).await? {
                    let relation = target.root;
                    let Old::Row(old) = &old else {
                        meaning.lost(catalog, relation);
                        continue;
                    };
                    let rows = target.row(old, None).zip(target.row(&new, Some(old)));
                    let change = rows.map(|(old, new)| Change::Update { relation, old, new });
                    meaning.push(change);
                }
            }
            Message::Delete { oid, old } => {
                for target in self.targets(catalog, oid, &mut meaning).await? {
                    let relation = target.root;
                    let Old::Row(old) = &old else {
                        meaning.lost(catalog, relation);
                        continue;
                    };
                    let old = target.row(old, None);
                    meaning.push(old.map(|old| Change::Delete { relation, old }));
                }
            }
            Message::Truncate { oids } => {
                let mut roots = Vec::new();
                for oid in oids {
                    let targets = self.targets(catalog, oid, &mut meaning).await?;
                    roots.extend(targets.iter().map(|target| target.root));
                }
                roots.sort_unstable();
                roots.dedup();
                let truncated = roots.into_iter();
                meaning
                    .changes
                    .extend(truncated.map(|relation| Change::Truncate { relation }));
            }
            Message::Other => {}
        }
        Ok(meaning)
    }

    async fn targets<'a>(
        &'a mut self,
        catalog: &Catalog,
        oid: u32,
        meaning: &mut Meaning,
    ) -> Result<&'a [Target], RowsError> {
        let told = self.told.get(&oid).ok_or(RowsError::Untold(oid))?;
        if told.generation != catalog.generation() {
            self.resolve(catalog, oid, meaning).await?;
        }
        Ok(self.told.get(&oid).map_or(&[], |told| &told.targets))
    }

    /// Finds the tables that the rows belong to. Where the stream has another version of a table than is
    /// known, the catalogue is asked. When that has another, too, the stream is behind it: rows of a
    /// version that is over are told as far as they fit, since no shape has been made of it.
    async fn resolve(
        &mut self,
        catalog: &Catalog,
        oid: u32,
        meaning: &mut Meaning,
    ) -> Result<(), RowsError> {
        let Some(told) = self.told.get_mut(&oid) else {
            return Ok(());
        };
        let stale = |fits: &[Fit]| -> Vec<u32> {
            let stale = fits.iter().filter_map(|fit| match fit {
                Fit::Stale(root) => Some(*root),
                Fit::Rows(_) => None,
            });
            stale.collect()
        };
        let mut fits = catalog.fits(&told.columns);
        let old = stale(&fits);
        if !old.is_empty() {
            catalog.refresh(&old).await?;
            fits = catalog.fits(&told.columns);
        }
        told.generation = catalog.generation();
        told.targets.clear();
        for fit in fits {
            match fit {
                Fit::Rows(target) => told.targets.push(target),
                Fit::Stale(root) => {
                    let described = catalog.get(root);
                    let target = described.and_then(|d| target(&d, &told.columns));
                    told.targets.extend(target);
                }
            }
        }
        if !told.columns.full {
            // Changes from here on lack columns that shapes need, whatever the current setting is.
            for target in told.targets.drain(..) {
                meaning.lost(catalog, target.root);
            }
        }
        Ok(())
    }
}

impl Meaning {
    fn push(&mut self, change: Option<Change>) {
        self.changes.extend(change);
    }

    fn lost(&mut self, catalog: &Catalog, relation: u32) {
        catalog.not_told(relation);
        self.events.push(Event::Ended { relation });
    }
}

impl Target {
    /// The row in the table's own columns; a value that was not touched is the old one.
    fn row(&self, tuple: &Tuple, old: Option<&Tuple>) -> Option<Row> {
        let places = self.places.iter().zip(&self.booleans);
        places
            .map(|(place, boolean)| {
                let Some(place) = place else {
                    return Some(None);
                };
                let value = match tuple.get(*place)? {
                    Value::Unchanged => old?.get(*place)?,
                    value => value,
                };
                match value {
                    Value::Null => Some(None),
                    Value::Text(text) if *boolean => Some(Some(spelled(text))),
                    Value::Text(text) => Some(Some(text.clone())),
                    Value::Unchanged => None,
                }
            })
            .collect()
    }
}
