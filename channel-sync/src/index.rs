//! Which shapes a change may concern.

use crate::predicate::Keys;
use crate::table::Row;
use smol_str::SmolStr;
use std::collections::{HashMap, HashSet};

/// The shapes of one table. A shape whose rows all have one of a few values in a column is found by
/// the value; adding and removing one takes the same time however many there are.
#[derive(Debug, Default)]
pub(crate) struct Index {
    all: HashSet<u64>,
    /// Shapes that every change may concern.
    any: HashSet<u64>,
    columns: HashMap<usize, HashMap<SmolStr, HashSet<u64>>>,
}

impl Index {
    pub(crate) fn insert(&mut self, shape: u64, keys: Option<&Keys>) {
        self.all.insert(shape);
        match keys {
            None => {
                self.any.insert(shape);
            }
            Some(keys) => {
                let column = self.columns.entry(keys.column).or_default();
                for value in &keys.values {
                    column.entry(value.clone()).or_default().insert(shape);
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, shape: u64, keys: Option<&Keys>) {
        self.all.remove(&shape);
        self.any.remove(&shape);
        let Some(keys) = keys else { return };
        let Some(column) = self.columns.get_mut(&keys.column) else {
            return;
        };
        for value in &keys.values {
            if let Some(shapes) = column.get_mut(value) {
                shapes.remove(&shape);
                if shapes.is_empty() {
                    column.remove(value);
                }
            }
        }
        if column.is_empty() {
            self.columns.remove(&keys.column);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = u64> {
        self.all.iter().copied()
    }

    /// Every shape that a change of these rows may concern, each once.
    pub(crate) fn concerned(&self, rows: [Option<&Row>; 2], found: &mut Vec<u64>) {
        found.clear();
        found.extend(&self.any);
        for (column, values) in &self.columns {
            for row in rows.into_iter().flatten() {
                if let Some(shapes) = row.get(*column).and_then(|text| values.get(text)) {
                    found.extend(shapes);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_finds_the_shapes_of_its_values_and_those_of_none() {
        let mut index = Index::default();
        let keys = |value: u64| Keys {
            column: 1,
            values: vec![value.to_string().into()],
        };
        for shape in 0..60_000 {
            index.insert(shape, Some(&keys(shape)));
        }
        index.insert(70_000, None);
        let row = |value: &str| Row::from([None, Some(value)]);
        let mut found = Vec::new();
        index.concerned([Some(&row("7")), Some(&row("9"))], &mut found);
        assert_eq!(found, [7, 9, 70_000]);
        index.concerned([Some(&Row::from([None, None])), None], &mut found);
        assert_eq!(found, [70_000]);
        for shape in 0..60_000 {
            index.remove(shape, Some(&keys(shape)));
        }
        assert!(index.columns.is_empty());
        index.remove(70_000, None);
        assert!(index.is_empty());
    }
}
