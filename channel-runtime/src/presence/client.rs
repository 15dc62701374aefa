//! Clients that apply `presence_state` and `presence_diff`, for tests: a strict one that tolerates
//! no mistake, and one that behaves like the stock clients.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Metas by key, each a ref and the meta without refs.
type Metas = BTreeMap<String, Vec<(String, Value)>>;

/// A client that refuses what no server may send.
#[derive(Debug)]
pub(super) struct StrictClient {
    metas: Metas,
    emptied: BTreeSet<String>,
}

impl StrictClient {
    pub(super) fn new(state: &str) -> Self {
        let state: Value = serde_json::from_str(state).unwrap();
        StrictClient {
            metas: read(&state),
            emptied: BTreeSet::new(),
        }
    }

    /// Takes a diff, joins first.
    pub(super) fn diff(&mut self, diff: &str) -> Result<(), String> {
        let diff: Value = serde_json::from_str(diff).unwrap();
        let (joins, leaves) = (read(&diff["joins"]), read(&diff["leaves"]));
        let before: BTreeSet<_> = self.metas.keys().cloned().collect();
        for (key, metas) in &joins {
            let shown = self.metas.entry(key.clone()).or_default();
            for meta in metas {
                if shown.iter().any(|(own, _)| *own == meta.0) {
                    return Err(format!("{key:?} joins twice as {}", meta.0));
                }
                shown.push(meta.clone());
            }
        }
        for (key, metas) in &leaves {
            for (own, _) in metas {
                let shown = self.metas.get_mut(key);
                let at = shown.and_then(|shown| {
                    let at = shown.iter().position(|(known, _)| known == own)?;
                    Some((shown, at))
                });
                let Some((shown, at)) = at else {
                    return Err(format!("{key:?} leaves as {own}, which was not shown"));
                };
                shown.remove(at);
            }
        }
        for (key, own) in previous(&diff["joins"]) {
            let left = leaves.get(&key).into_iter().flatten();
            if !left.into_iter().any(|(known, _)| *known == own) {
                return Err(format!("{key:?} updates {own}, which does not leave"));
            }
        }
        self.metas.retain(|_, metas| !metas.is_empty());
        let gone = before
            .into_iter()
            .filter(|key| !self.metas.contains_key(key));
        self.emptied = gone.collect();
        Ok(())
    }

    pub(super) fn refs(&self) -> BTreeSet<(String, String)> {
        let all = self.metas.iter();
        all.flat_map(|(key, metas)| metas.iter().map(|(own, _)| (key.clone(), own.clone())))
            .collect()
    }

    /// The keys that the last diff took the last meta of.
    pub(super) fn emptied(&self) -> &BTreeSet<String> {
        &self.emptied
    }

    /// Returns the presences that a user sees.
    pub(super) fn shown(&self) -> BTreeMap<String, Vec<String>> {
        shown(&self.metas)
    }
}

/// `Presence.syncState` and `Presence.syncDiff` of phoenix.js.
#[derive(Debug)]
pub(super) struct StockClient {
    metas: Metas,
    /// Versions 1.2 and 1.3 keep duplicates of a join that is repeated.
    keeps_duplicates: bool,
}

impl StockClient {
    pub(super) fn new(state: &str, keeps_duplicates: bool) -> Self {
        StockClient {
            metas: read(&serde_json::from_str(state).unwrap()),
            keeps_duplicates,
        }
    }

    pub(super) fn diff(&mut self, diff: &str) {
        let diff: Value = serde_json::from_str(diff).unwrap();
        for (key, joined) in read(&diff["joins"]) {
            let current = self.metas.remove(&key).unwrap_or_default();
            let kept = current.into_iter().filter(|(own, _)| {
                self.keeps_duplicates || !joined.iter().any(|(new, _)| new == own)
            });
            let metas = kept.chain(joined.iter().cloned()).collect();
            self.metas.insert(key, metas);
        }
        for (key, left) in read(&diff["leaves"]) {
            let Some(metas) = self.metas.get_mut(&key) else {
                continue;
            };
            metas.retain(|(own, _)| !left.iter().any(|(gone, _)| gone == own));
            if metas.is_empty() {
                self.metas.remove(&key);
            }
        }
    }

    pub(super) fn shown(&self) -> BTreeMap<String, Vec<String>> {
        shown(&self.metas)
    }
}

fn shown(metas: &Metas) -> BTreeMap<String, Vec<String>> {
    let sorted = |metas: &Vec<(String, Value)>| {
        let mut texts: Vec<_> = metas.iter().map(|(_, meta)| meta.to_string()).collect();
        texts.sort();
        texts
    };
    let all = metas.iter();
    all.map(|(key, metas)| (key.clone(), sorted(metas)))
        .collect()
}

fn read(presences: &Value) -> Metas {
    let all = presences.as_object().unwrap().iter();
    all.map(|(key, presence)| (key.clone(), read_metas(presence)))
        .collect()
}

fn read_metas(presence: &Value) -> Vec<(String, Value)> {
    let metas = presence["metas"].as_array().unwrap().iter();
    metas
        .map(|meta| {
            let mut fields = meta.as_object().unwrap().clone();
            let own = fields.remove("phx_ref").unwrap();
            fields.remove("phx_ref_prev");
            (own.as_str().unwrap().to_owned(), fields.into())
        })
        .collect()
}

fn previous(joins: &Value) -> Vec<(String, String)> {
    let all = joins.as_object().unwrap().iter();
    all.flat_map(|(key, presence)| {
        let metas = presence["metas"].as_array().unwrap().iter();
        metas.filter_map(move |meta| {
            let previous = meta.get("phx_ref_prev")?.as_str()?;
            Some((key.clone(), previous.to_owned()))
        })
    })
    .collect()
}
