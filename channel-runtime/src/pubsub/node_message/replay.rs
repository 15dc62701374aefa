//! Replay protection: each node message counts once.

use std::collections::HashMap;

use super::Origin;

/// The number of messages by which a node message may fall behind a later one of its node.
const WINDOW: u64 = 16_384;
const WORDS: usize = (WINDOW / 64) as usize;

/// The maximum number of nodes remembered, 2 KiB each. A new one replaces the least recently heard.
const NODES: usize = 1024;

/// The numbers of the node messages received, by sending node. Only genuine messages get here, so
/// only nodes that know the secret take room.
#[derive(Default)]
pub(super) struct ReplayWindow {
    nodes: HashMap<Origin, Window>,
    messages: u64,
}

struct Window {
    highest: u64,
    /// One bit for each of the last numbers.
    seen: Box<[u64; WORDS]>,
    /// The count of all messages at which the last one of this node arrived.
    last: u64,
}

impl ReplayWindow {
    /// Returns true if this node message has not arrived before, and records it. One too far behind
    /// to tell counts as a repeat.
    pub(super) fn take(&mut self, from: Origin, number: u64) -> bool {
        if self.nodes.len() >= NODES && !self.nodes.contains_key(&from) {
            let oldest = self.nodes.iter().min_by_key(|(_, window)| window.last);
            if let Some(oldest) = oldest.map(|(origin, _)| *origin) {
                self.nodes.remove(&oldest);
            }
        }
        self.messages += 1;
        let window = self.nodes.entry(from).or_insert_with(|| Window {
            highest: 0,
            seen: Box::new([0; WORDS]),
            last: 0,
        });
        window.last = self.messages;
        window.take(number)
    }
}

impl Window {
    fn take(&mut self, number: u64) -> bool {
        match number.checked_sub(self.highest) {
            Some(ahead @ 1..) => {
                match ahead < WINDOW {
                    true => (self.highest + 1..number).for_each(|skipped| self.clear(skipped)),
                    false => self.seen.fill(0),
                }
                self.clear(number);
                self.highest = number;
            }
            _ if self.highest - number >= WINDOW => return false,
            _ => {}
        }
        let (word, bit) = place(number);
        let is_new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        is_new
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = place(number);
        self.seen[word] &= !bit;
    }
}

fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    // Less than WORDS.
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const NODE: Origin = Origin([1; 16]);

    #[test]
    fn a_message_too_far_behind_counts_as_one_that_has_come() {
        let mut heard = ReplayWindow::default();
        assert!(heard.take(NODE, WINDOW + 5));
        assert!(heard.take(NODE, 6) && !heard.take(NODE, 6));
        assert!(!heard.take(NODE, 5));
        assert!(heard.take(NODE, u64::MAX) && !heard.take(NODE, u64::MAX));
    }

    #[test]
    fn the_nodes_that_are_remembered_are_bounded_and_the_quietest_goes() {
        let mut heard = ReplayWindow::default();
        let node = |number: usize| {
            let mut origin = [0; 16];
            origin[..8].copy_from_slice(&(number as u64).to_be_bytes());
            Origin(origin)
        };
        for number in 0..NODES {
            assert!(heard.take(node(number), 1));
        }
        assert!(heard.take(node(0), 2));
        assert!(heard.take(node(NODES), 1));
        assert_eq!(heard.nodes.len(), NODES);
        assert!(!heard.take(node(0), 2) && !heard.take(node(NODES), 1));
        assert!(!heard.nodes.contains_key(&node(1)));
    }

    proptest! {
        #[test]
        fn properties_each_message_counts_once_in_any_order(
            numbers in prop::collection::vec(1..3 * WINDOW, 0..200),
        ) {
            let (mut heard, mut known, mut highest) = (ReplayWindow::default(), HashSet::new(), 0);
            for number in numbers {
                let is_new = known.insert(number) && number + WINDOW > highest;
                highest = highest.max(number);
                prop_assert_eq!(heard.take(NODE, number), is_new);
            }
        }
    }
}
