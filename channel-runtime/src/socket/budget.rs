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

    /// Takes `bytes` until what is returned is dropped; `None` when they do not fit. One message
    /// larger than the whole budget still fits an empty one.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let fits = |used: usize| {
            let after = used.saturating_add(bytes);
            (used == 0 || after <= self.limit).then_some(after)
        };
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .ok()?;
        Some(Share {
            budget: self.clone(),
            bytes,
        })
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

    #[test]
    fn what_is_taken_is_bounded_and_given_back() {
        let budget = Budget::new(10);
        let six = budget.take(6).unwrap();
        assert!(budget.take(5).is_none());
        let four = budget.take(4).unwrap();
        drop(six);
        assert!(budget.take(6).is_some());
        drop(four);
        assert_eq!(budget.used.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_message_over_the_budget_fits_when_nothing_else_waits() {
        let budget = Budget::new(10);
        let large = budget.take(100).unwrap();
        assert!(budget.take(1).is_none());
        drop(large);
        assert!(budget.take(1).is_some());
    }
}
