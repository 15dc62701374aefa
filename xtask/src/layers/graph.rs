//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet};

/// Returns the sets of nodes that reach each other, each sorted; single nodes are left out.
pub(super) fn circles<'a>(arrows: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Vec<&'a str>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows.filter(|(from, to)| from != to) {
        next.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|node| (*node, reach(node, &next)))
        .collect();
    let mut circles = BTreeSet::new();
    for (node, all) in &reached {
        let mut circle: Vec<&str> = all
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(node)))
            .collect();
        if circle.len() > 1 {
            circle.sort_unstable();
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reach<'a>(from: &'a str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(node) = waiting.pop() {
        for to in next.get(node).into_iter().flatten() {
            if reached.insert(*to) {
                waiting.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_that_reach_each_other_are_a_circle() {
        let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "d")];
        assert_eq!(circles(arrows.into_iter()), [["b", "c"]]);
    }
}
