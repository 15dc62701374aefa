//! Whatever happens to a view, a client that takes its state and then its diffs sees exactly what
//! the node sees.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::presence::client::{StockClient, StrictClient};

const KEYS: [&str; 3] = ["a", "b \"c\"", "7"];

#[derive(Clone, Debug)]
enum Happening {
    Insert(usize, u32),
    Remove(usize, u32),
    Update(usize, u32, u32),
    Diff,
    Join,
}

fn happening() -> impl Strategy<Value = Happening> {
    let (key, number) = (0..KEYS.len(), 0..4_u32);
    prop_oneof![
        (key.clone(), number.clone()).prop_map(|(key, own)| Happening::Insert(key, own)),
        (key.clone(), number.clone()).prop_map(|(key, own)| Happening::Remove(key, own)),
        (key, number.clone(), number).prop_map(|(key, old, own)| Happening::Update(key, old, own)),
        Just(Happening::Diff),
        Just(Happening::Join),
    ]
}

/// The holders of each meta, by key: the view without what clients know.
type Model = BTreeMap<(usize, u32), u32>;

fn r(number: u32) -> MetaRef {
    MetaRef { inc: 1, number }
}

fn refs(model: &Model) -> BTreeSet<(String, String)> {
    let shown = model.keys();
    shown
        .map(|(key, number)| (KEYS[*key].to_owned(), r(*number).to_string()))
        .collect()
}

fn remove(model: &mut Model, key: usize, number: u32) -> bool {
    let Some(holders) = model.get_mut(&(key, number)) else {
        return false;
    };
    *holders -= 1;
    if *holders == 0 {
        model.remove(&(key, number));
    }
    true
}

fn happen(view: &mut View, model: &mut Model, what: &Happening) {
    let key = |at: usize| Key::new(KEYS[at]).unwrap();
    let text = |number: u32| MetaText::new(&format!("{{\"n\":{number}}}")).unwrap();
    match *what {
        Happening::Insert(at, number) => {
            view.insert(&key(at), r(number), &text(number), None);
            *model.entry((at, number)).or_default() += 1;
        }
        Happening::Remove(at, number) => {
            view.remove(&key(at), r(number));
            remove(model, at, number);
        }
        Happening::Update(at, old, number) if model.contains_key(&(at, old)) => {
            view.replace(&key(at), r(old), r(number), &text(number));
            *model.entry((at, number)).or_default() += 1;
            remove(model, at, old);
        }
        Happening::Update(..) | Happening::Diff | Happening::Join => {}
    }
}

proptest! {
    #[test]
    fn state_then_diffs_is_the_view(
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let (mut view, mut model) = (View::default(), Model::new());
        let mut clients: Vec<StrictClient> = Vec::new();
        let mut stock: Vec<StockClient> = Vec::new();
        for what in &happenings {
            happen(&mut view, &mut model, what);
            match what {
                Happening::Join => {
                    clients.push(StrictClient::new(&view.state()));
                    // In turn those that forgive a repeated join, and those that do not.
                    stock.push(StockClient::new(&view.state(), stock.len().is_multiple_of(2)));
                }
                Happening::Diff => {
                    let due = view.due(Duration::ZERO).is_some();
                    let before = clients.first().map(StrictClient::refs);
                    let diff = view.take_diff(Duration::ZERO);
                    prop_assert_eq!(due, diff.is_some(), "a diff is due where there is one");
                    prop_assert_eq!(before.as_ref() == Some(&refs(&model)), diff.is_none() && before.is_some());
                    for client in &mut clients {
                        if let Some(diff) = &diff {
                            // Refuses repeated joins, leaves of what was not shown, and a
                            // `phx_ref_prev` that does not leave.
                            client.diff(&diff.text()).map_err(TestCaseError::fail)?;
                        }
                        prop_assert_eq!(client.refs(), refs(&model));
                    }
                    for (stock, strict) in stock.iter_mut().zip(&clients) {
                        if let Some(diff) = &diff {
                            stock.diff(&diff.text());
                        }
                        prop_assert_eq!(stock.shown(), strict.shown());
                    }
                }
                _ => {}
            }
            // Those who join now see the same as those who have been there.
            let state = StrictClient::new(&view.state());
            for client in &clients {
                prop_assert_eq!(client.refs(), state.refs());
            }
            let keys: BTreeSet<_> = model.keys().map(|(key, _)| key).collect();
            prop_assert_eq!(view.count(), keys.len());
            prop_assert_eq!(view.list().count(), model.len());
        }
    }

    #[test]
    fn an_update_never_empties_a_key(
        numbers in proptest::collection::vec((1..40_u32, any::<bool>()), 1..40),
    ) {
        let key = Key::new("a").unwrap();
        let text = MetaText::new("{}").unwrap();
        let mut view = View::default();
        view.insert(&key, r(0), &text, None);
        view.take_diff(Duration::ZERO);
        let mut client = StrictClient::new(&view.state());
        let mut now = 0;
        for (number, flush) in numbers {
            view.replace(&key, r(now), r(number), &text);
            now = number;
            if flush && let Some(diff) = view.take_diff(Duration::ZERO) {
                client.diff(&diff.text()).map_err(TestCaseError::fail)?;
            }
            prop_assert!(client.emptied().is_empty());
            prop_assert_eq!(view.get("a").count(), 1);
        }
    }
}
