use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The bytes of a client's messages that wait for its channels, all together: without it a
/// client could fill every channel's inbox with messages of the largest size.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Budget {
            used: AtomicUsize::new(0),
            limit,
        })
    }

    /// Whether `bytes` fit. One message larger than the whole budget still fits an empty one.
    ///
    /// Only the connection's own task asks, so what fits goes on to fit until it is taken.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Acquire);
        used == 0 || used.saturating_add(bytes) <= self.limit
    }

    /// What `bytes` that fit may take of it.
    pub(crate) fn claim(self: &Arc<Self>, bytes: usize) -> Claim<'_> {
        Claim {
            budget: self,
            bytes,
        }
    }
}

/// What a message may take of a [`Budget`]; one that is handled at once never does.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    budget: &'a Arc<Budget>,
    bytes: usize,
}

impl Claim<'_> {
    /// Takes it, until what is returned is dropped.
    pub(crate) fn take(self) -> Share {
        self.budget.used.fetch_add(self.bytes, Ordering::AcqRel);
        Share {
            budget: self.budget.clone(),
            bytes: self.bytes,
        }
    }
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(budget: &Arc<Budget>, bytes: usize) -> Option<Share> {
        budget.has_room(bytes).then(|| budget.claim(bytes).take())
    }

    #[test]
    fn what_is_taken_is_bounded_and_given_back() {
        let budget = Budget::new(10);
        let six = take(&budget, 6).unwrap();
        assert!(take(&budget, 5).is_none());
        let four = take(&budget, 4).unwrap();
        drop(six);
        assert!(take(&budget, 6).is_some());
        drop(four);
        assert_eq!(budget.used.load(Ordering::Acquire), 0);
    }

    #[test]
    fn what_is_claimed_and_not_taken_stays() {
        let budget = Budget::new(10);
        let _not_taken = budget.claim(10);
        assert!(take(&budget, 10).is_some());
    }

    #[test]
    fn a_message_over_the_budget_fits_when_nothing_else_waits() {
        let budget = Budget::new(10);
        let large = take(&budget, 100).unwrap();
        assert!(take(&budget, 1).is_none());
        drop(large);
        assert!(take(&budget, 1).is_some());
    }
}
