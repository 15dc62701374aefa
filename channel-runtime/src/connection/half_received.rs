//! The messages that clients have sent in part, over all connections of an endpoint, and the choice
//! of connections to close when they are too large.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::time::Instant;

/// The number of bytes of a partial message that are not counted.
pub(crate) const FREE: usize = 64 * 1024;

/// The bytes of incomplete messages, of all clients together. A message that is handled as it
/// arrives is never counted here.
pub(crate) struct HalfReceived {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: usize,
    next: u64,
    /// The number of messages cut off so far.
    gone: u64,
    parts: HashMap<u64, Known>,
}

/// A large part of a message.
struct Known {
    bytes: usize,
    /// True if its client has joined anything; others are cut off first.
    joined: bool,
    /// The time of the client's last bytes.
    seen: Instant,
    cut_off: CutOff,
}

/// A function that ends the receiver of a message.
type CutOff = Box<dyn Fn() + Send + Sync>;

/// A partial message, as its connection holds it. It counts until it is dropped.
pub(crate) struct Half {
    all: Arc<HalfReceived>,
    id: u64,
}

impl HalfReceived {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(HalfReceived {
            limit,
            state: Mutex::default(),
        })
    }

    /// Records how many bytes of a message have arrived; `half` holds the record while they are
    /// many. `cut_off` makes the function that ends the receiver.
    ///
    /// Over the limit, messages are cut off that have had no bytes for longest, first those of
    /// clients which have joined nothing. So clients that stop half-way cannot keep out those that
    /// go on.
    pub(crate) fn note(
        self: &Arc<Self>,
        half: &mut Option<Box<Half>>,
        bytes: usize,
        joined: bool,
        seen: Instant,
        cut_off: impl FnOnce() -> CutOff,
    ) {
        if bytes <= FREE {
            *half = None;
            return;
        }
        let mut state = self.state.lock();
        match half {
            None => {
                let id = state.next;
                state.next += 1;
                state.used += bytes;
                let known = Known {
                    bytes,
                    joined,
                    seen,
                    cut_off: cut_off(),
                };
                state.parts.insert(id, known);
                let all = self.clone();
                *half = Some(Box::new(Half { all, id }));
            }
            // A message that was cut off is no longer listed.
            Some(half) => {
                let state = &mut *state;
                if let Some(known) = state.parts.get_mut(&half.id) {
                    state.used = state.used - known.bytes + bytes;
                    (known.bytes, known.joined, known.seen) = (bytes, joined, seen);
                }
            }
        }
        let gone = state.make_room(self.limit);
        state.gone += gone.len() as u64;
        let all_gone = state.gone;
        drop(state);
        if !gone.is_empty() {
            self.tell(&gone, all_gone);
        }
    }

    #[cold]
    fn tell(&self, gone: &[Known], all_gone: u64) {
        let now = gone.len() as u64;
        metrics::counter!("channel_half_received_dropped_total").increment(now);
        // Cut-offs come in series: one line each time that their number has doubled.
        if all_gone.ilog2() != (all_gone - now).checked_ilog2().unwrap_or(u32::MAX) {
            tracing::warn!(
                clients = all_gone,
                limit = self.limit,
                "clients have sent more in part than the endpoint's `receive_bytes`; those that have \
                 stopped are cut off, so many since the start"
            );
        }
        gone.iter().for_each(|known| (known.cut_off)());
    }

    #[cfg(test)]
    fn used(&self) -> usize {
        self.state.lock().used
    }
}

impl State {
    /// Removes messages until the rest fits. A single message stays, however large it is.
    fn make_room(&mut self, limit: usize) -> Vec<Known> {
        let mut gone = Vec::new();
        while self.used > limit && self.parts.len() > 1 {
            let stalest = self
                .parts
                .iter()
                .min_by_key(|(id, known)| (known.joined, known.seen, **id));
            let Some(known) = stalest
                .map(|(id, _)| *id)
                .and_then(|id| self.parts.remove(&id))
            else {
                break;
            };
            self.used -= known.bytes;
            gone.push(known);
        }
        gone
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let mut state = self.all.state.lock();
        if let Some(known) = state.parts.remove(&self.id) {
            state.used -= known.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use super::*;

    const KIB: usize = 1024;

    /// A client, with a flag that tells if it is cut off.
    #[derive(Default)]
    struct Client {
        half: Option<Box<Half>>,
        gone: Arc<AtomicBool>,
    }

    impl Client {
        fn has_sent(&mut self, all: &Arc<HalfReceived>, kib: usize, joined: bool, second: u64) {
            let seen = *BEGIN.get_or_init(Instant::now) + Duration::from_secs(second);
            let gone = &self.gone;
            all.note(&mut self.half, kib * KIB, joined, seen, || {
                let gone = gone.clone();
                Box::new(move || gone.store(true, Ordering::Relaxed))
            });
        }

        fn is_gone(&self) -> bool {
            self.gone.load(Ordering::Relaxed)
        }
    }

    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

    #[test]
    fn those_that_have_stopped_go_first_and_those_that_go_on_stay() {
        let all = HalfReceived::new(1000 * KIB);
        let [mut stopped, mut later, mut slow] = <[Client; 3]>::default();
        stopped.has_sent(&all, 300, true, 1);
        later.has_sent(&all, 300, true, 2);
        (3..40).for_each(|now| slow.has_sent(&all, now as usize * 10, true, now));
        assert!(![&stopped, &later, &slow].into_iter().any(Client::is_gone));
        slow.has_sent(&all, 401, true, 41);
        assert!(stopped.is_gone());
        assert!(!later.is_gone() && !slow.is_gone());
        slow.has_sent(&all, 800, true, 42);
        assert!(later.is_gone() && !slow.is_gone());
        assert_eq!(all.used(), 800 * KIB);
    }

    #[test]
    fn clients_that_have_joined_nothing_go_before_those_that_have() {
        let all = HalfReceived::new(1000 * KIB);
        let [mut joined, mut stranger] = <[Client; 2]>::default();
        joined.has_sent(&all, 900, true, 1);
        stranger.has_sent(&all, 101, false, 2);
        assert!(stranger.is_gone() && !joined.is_gone());
    }

    #[test]
    fn one_that_is_alone_stays_however_large_it_is() {
        let all = HalfReceived::new(100 * KIB);
        let mut only = Client::default();
        only.has_sent(&all, 200, false, 1);
        assert!(!only.is_gone());
    }

    #[test]
    fn what_is_whole_cut_off_or_small_counts_no_more() {
        let all = HalfReceived::new(500 * KIB);
        let [mut first, mut second] = <[Client; 2]>::default();
        first.has_sent(&all, 64, true, 1);
        assert_eq!(all.used(), 0, "that much is its own affair");
        first.has_sent(&all, 300, true, 1);
        second.has_sent(&all, 300, true, 2);
        assert!(first.is_gone());
        first.has_sent(&all, 400, true, 3);
        assert_eq!(all.used(), 300 * KIB, "it is on its way out");
        second.has_sent(&all, 0, true, 4);
        drop(first);
        assert_eq!(all.used(), 0);
    }
}
