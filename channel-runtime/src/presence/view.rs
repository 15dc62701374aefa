//! The presences of one topic, as clients of this node see them: which metas are there, and which
//! of them clients have been told of. No I/O, and no clock of its own.

#[cfg(test)]
mod properties;

use std::time::Duration;

use bytestring::ByteString;
use indexmap::IndexMap;

use super::{
    key::Key,
    meta::{MetaRef, MetaText},
};

/// A topic of more metas gets its diffs less often.
const CROWD: usize = 1_000;

/// How often the diffs of a crowd go out.
const CROWD_WINDOW: Duration = Duration::from_secs(1);

/// A meta of a view.
#[derive(Debug)]
struct Shown {
    own: MetaRef,
    text: MetaText,
    /// How many entries hold it: two nodes may, while one takes over from the other.
    holders: u32,
    join: Join,
}

/// Says if clients know a meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    Sent,
    /// Part of the next diff, as an update of that meta.
    Pending(Option<MetaRef>),
}

/// The metas of one topic. What clients were told is `keys` without the pending joins, and with
/// the pending leaves.
#[derive(Debug, Default)]
pub(crate) struct View {
    keys: IndexMap<Key, Vec<Shown>>,
    metas: usize,
    left: IndexMap<Key, Vec<LeftMeta>>,
    /// Keys with pending joins; a key may stand here though its joins are gone again.
    joined: IndexMap<Key, ()>,
    last_diff: Option<Duration>,
    /// The state of what clients were told, until that changes.
    state: Option<ByteString>,
}

impl View {
    /// Adds a holder of a meta. `previous` names the meta that it updates.
    pub(crate) fn insert(
        &mut self,
        key: &Key,
        own: MetaRef,
        text: &MetaText,
        previous: Option<MetaRef>,
    ) {
        if let Some(metas) = self.keys.get_mut(key)
            && let Some(shown) = metas.iter_mut().find(|shown| shown.own == own)
        {
            shown.holders += 1;
            return;
        }
        let shown = match self.take_left(key, own) {
            // Clients have not heard of its leave.
            Some(text) => Shown {
                own,
                text,
                holders: 1,
                join: Join::Sent,
            },
            None => {
                self.joined.insert(key.clone(), ());
                Shown {
                    own,
                    text: text.clone(),
                    holders: 1,
                    join: Join::Pending(self.last_sent(key, previous)),
                }
            }
        };
        self.keys.entry(key.clone()).or_default().push(shown);
        self.metas += 1;
    }

    /// Takes a holder off a meta, which leaves with the last one.
    pub(crate) fn remove(&mut self, key: &Key, own: MetaRef) {
        let Some(metas) = self.keys.get_mut(key) else {
            return;
        };
        let Some(at) = metas.iter().position(|shown| shown.own == own) else {
            return;
        };
        metas[at].holders -= 1;
        if metas[at].holders > 0 {
            return;
        }
        let shown = metas.remove(at);
        self.metas -= 1;
        if metas.is_empty() {
            self.keys.swap_remove(key);
        }
        if shown.join == Join::Sent {
            let left = self.left.entry(key.clone()).or_default();
            left.push(LeftMeta {
                own,
                text: shown.text,
            });
        }
    }

    /// Replaces one holder of a meta by one of another, which updates it.
    pub(crate) fn replace(&mut self, key: &Key, old: MetaRef, own: MetaRef, text: &MetaText) {
        self.insert(key, own, text, (old != own).then_some(old));
        self.remove(key, old);
    }

    /// Returns the meta that clients know, of several updates since.
    fn last_sent(&self, key: &Key, previous: Option<MetaRef>) -> Option<MetaRef> {
        let previous = previous?;
        let metas = self.keys.get(key);
        let updated = metas.and_then(|metas| metas.iter().find(|shown| shown.own == previous));
        match updated.map(|shown| shown.join) {
            Some(Join::Pending(before)) => before,
            _ => Some(previous),
        }
    }

    fn take_left(&mut self, key: &Key, own: MetaRef) -> Option<MetaText> {
        let left = self.left.get_mut(key)?;
        let at = left.iter().position(|gone| gone.own == own)?;
        let LeftMeta { text, .. } = left.remove(at);
        if left.is_empty() {
            self.left.swap_remove(key);
        }
        Some(text)
    }

    /// Returns when the next diff is due; `None` while clients know everything. The first change
    /// of a quiet topic is due at once, what follows it a `window` after it.
    pub(crate) fn due(&mut self, window: Duration) -> Option<Duration> {
        let keys = &self.keys;
        self.joined.retain(|key, ()| {
            keys.get(key)
                .is_some_and(|metas| metas.iter().any(is_pending))
        });
        if self.joined.is_empty() && self.left.is_empty() {
            return None;
        }
        Some(self.quiet_at(window))
    }

    /// Returns when a change may go out at once.
    pub(crate) fn quiet_at(&self, window: Duration) -> Duration {
        let window = match self.metas > CROWD {
            true => window.max(CROWD_WINDOW),
            false => window,
        };
        self.last_diff
            .map_or(Duration::ZERO, |last| last.saturating_add(window))
    }

    /// Takes the pending changes: from here on, clients know them. `None` where there are none.
    pub(crate) fn take_diff(&mut self, now: Duration) -> Option<ViewDiff> {
        let mut diff = ViewDiff::default();
        let left = std::mem::take(&mut self.left);
        for (key, ()) in std::mem::take(&mut self.joined) {
            let gone = left.get(&key);
            let mut joins = Vec::new();
            let metas = self.keys.get_mut(&key).into_iter().flatten();
            for shown in metas {
                let Join::Pending(previous) = shown.join else {
                    continue;
                };
                shown.join = Join::Sent;
                // A meta that stays, because another entry holds it too, is not updated.
                let previous = previous.filter(|previous| {
                    gone.is_some_and(|gone| gone.iter().any(|left| left.own == *previous))
                });
                joins.push(JoinedMeta {
                    own: shown.own,
                    previous,
                    text: shown.text.clone(),
                });
            }
            if !joins.is_empty() {
                diff.joins.push((key, joins));
            }
        }
        diff.leaves = left.into_iter().collect();
        if diff.is_empty() {
            return None;
        }
        self.state = None;
        self.last_diff = Some(now);
        Some(diff)
    }

    /// Returns the payload of `presence_state`: what clients were told so far. It is encoded once
    /// for all who join until the next diff.
    pub(crate) fn state(&mut self) -> ByteString {
        if let Some(state) = &self.state {
            return state.clone();
        }
        let state = ByteString::from(self.encode_state());
        self.state = Some(state.clone());
        state
    }

    pub(super) fn encode_state(&self) -> String {
        let mut text = Object::new();
        for (key, metas) in &self.keys {
            let mut sent = metas.iter().filter(|shown| !is_pending(shown)).peekable();
            let left = self.left.get(key);
            if sent.peek().is_none() && left.is_none() {
                continue;
            }
            let sent = sent.map(|shown| (shown.own, None, &shown.text));
            let left = left.into_iter().flatten();
            text.metas(
                key,
                sent.chain(left.map(|left| (left.own, None, &left.text))),
            );
        }
        for (key, left) in &self.left {
            if !self.keys.contains_key(key) {
                text.metas(key, left.iter().map(|left| (left.own, None, &left.text)));
            }
        }
        text.end()
    }

    /// Returns every meta that is there, those that clients have not heard of too.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&Key, MetaRef, &MetaText)> {
        self.keys
            .iter()
            .flat_map(|(key, metas)| metas.iter().map(move |shown| (key, shown.own, &shown.text)))
    }

    /// Returns the metas of one key.
    pub(crate) fn get(&self, key: &str) -> impl Iterator<Item = (MetaRef, &MetaText)> {
        let metas = self.keys.get(key).into_iter().flatten();
        metas.map(|shown| (shown.own, &shown.text))
    }

    /// Returns the number of keys.
    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether there is nothing that a new view would not have.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.left.is_empty()
    }
}

fn is_pending(shown: &Shown) -> bool {
    matches!(shown.join, Join::Pending(_))
}

/// A change of a view: metas by key.
#[derive(Debug, Default)]
pub(crate) struct ViewDiff {
    pub(crate) joins: Vec<(Key, Vec<JoinedMeta>)>,
    pub(crate) leaves: Vec<(Key, Vec<LeftMeta>)>,
}

#[derive(Debug)]
pub(crate) struct JoinedMeta {
    pub(crate) own: MetaRef,
    /// The meta that it updates, which is among those that leave.
    pub(crate) previous: Option<MetaRef>,
    pub(crate) text: MetaText,
}

#[derive(Debug)]
pub(crate) struct LeftMeta {
    pub(crate) own: MetaRef,
    pub(crate) text: MetaText,
}

impl ViewDiff {
    fn is_empty(&self) -> bool {
        self.joins.is_empty() && self.leaves.is_empty()
    }

    /// Returns the payload of `presence_diff`.
    pub(crate) fn text(&self) -> String {
        let mut joins = Object::new();
        for (key, metas) in &self.joins {
            joins.metas(
                key,
                metas
                    .iter()
                    .map(|joined| (joined.own, joined.previous, &joined.text)),
            );
        }
        let mut leaves = Object::new();
        for (key, metas) in &self.leaves {
            leaves.metas(key, metas.iter().map(|left| (left.own, None, &left.text)));
        }
        format!("{{\"joins\":{},\"leaves\":{}}}", joins.end(), leaves.end())
    }
}

/// A JSON object of keys and their metas.
struct Object(String);

impl Object {
    fn new() -> Self {
        Object("{".to_owned())
    }

    fn metas<'a>(
        &mut self,
        key: &Key,
        metas: impl Iterator<Item = (MetaRef, Option<MetaRef>, &'a MetaText)>,
    ) {
        let text = &mut self.0;
        if text.len() > 1 {
            text.push(',');
        }
        // Text can be JSON, so this is never the default.
        text.push_str(&serde_json::to_string(key.as_str()).unwrap_or_default());
        text.push_str(":{\"metas\":[");
        for (at, (own, previous, meta)) in metas.enumerate() {
            if at > 0 {
                text.push(',');
            }
            meta.write(own, previous, text);
        }
        text.push_str("]}");
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(100);

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn meta(text: &str) -> MetaText {
        MetaText::new(text).unwrap()
    }

    fn r(number: u32) -> MetaRef {
        MetaRef { inc: 0, number }
    }

    fn diff(view: &mut View) -> Option<String> {
        view.take_diff(Duration::ZERO).map(|diff| diff.text())
    }

    #[test]
    fn an_update_is_one_frame_that_names_the_old_meta() {
        let mut view = View::default();
        view.insert(&key("7"), r(1), &meta(r#"{"status":"here"}"#), None);
        assert_eq!(
            diff(&mut view).unwrap(),
            r#"{"joins":{"7":{"metas":[{"phx_ref":"AAAAAAAAAAAAAAAB","status":"here"}]}},"leaves":{}}"#
        );
        view.replace(&key("7"), r(1), r(2), &meta(r#"{"status":"away"}"#));
        assert_eq!(
            diff(&mut view).unwrap(),
            r#"{"joins":{"7":{"metas":[{"phx_ref":"AAAAAAAAAAAAAAAC","phx_ref_prev":"AAAAAAAAAAAAAAAB","status":"away"}]}},"leaves":{"7":{"metas":[{"phx_ref":"AAAAAAAAAAAAAAAB","status":"here"}]}}}"#
        );
        assert_eq!(
            view.state(),
            r#"{"7":{"metas":[{"phx_ref":"AAAAAAAAAAAAAAAC","status":"away"}]}}"#
        );
    }

    #[test]
    fn of_several_updates_the_last_is_sent_and_names_the_meta_that_clients_know() {
        let mut view = View::default();
        view.insert(&key("a"), r(1), &meta("{}"), None);
        diff(&mut view);
        for number in 2..5 {
            view.replace(&key("a"), r(number - 1), r(number), &meta("{}"));
        }
        let diff = view.take_diff(Duration::ZERO).unwrap();
        assert_eq!(diff.joins[0].1[0].own, r(4));
        assert_eq!(diff.joins[0].1[0].previous, Some(r(1)));
        assert_eq!(diff.leaves[0].1.len(), 1);
        assert_eq!(diff.leaves[0].1[0].own, r(1));
    }

    #[test]
    fn a_join_and_its_leave_within_a_window_are_nothing() {
        let mut view = View::default();
        view.insert(&key("a"), r(1), &meta("{}"), None);
        view.remove(&key("a"), r(1));
        assert_eq!(view.due(WINDOW), None);
        assert_eq!(diff(&mut view), None);
        assert_eq!(view.state(), "{}");
        assert!(view.is_empty());
    }

    #[test]
    fn a_meta_that_two_entries_hold_leaves_with_the_last() {
        let mut view = View::default();
        view.insert(&key("a"), r(1), &meta("{}"), None);
        view.insert(&key("a"), r(1), &meta("{}"), None);
        diff(&mut view);
        view.remove(&key("a"), r(1));
        assert_eq!(diff(&mut view), None);
        assert!(view.get("a").all(|(_, text)| text.as_str() == "{}"));
        view.remove(&key("a"), r(1));
        assert!(diff(&mut view).unwrap().contains("leaves\":{\"a\""));
    }

    #[test]
    fn the_first_change_is_due_at_once_and_the_next_a_window_later() {
        let mut view = View::default();
        assert_eq!(view.due(WINDOW), None);
        view.insert(&key("a"), r(1), &meta("{}"), None);
        assert_eq!(view.due(WINDOW), Some(Duration::ZERO));
        view.take_diff(Duration::from_secs(1));
        view.insert(&key("b"), r(2), &meta("{}"), None);
        assert_eq!(view.due(WINDOW), Some(Duration::from_millis(1_100)));
        for number in 0..CROWD as u32 {
            view.insert(&key(&format!("c{number}")), r(number), &meta("{}"), None);
        }
        assert_eq!(view.due(WINDOW), Some(Duration::from_secs(2)));
    }
}
