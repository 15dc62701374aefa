//! In any order of events the waiting bytes are bounded, per connection and in total, and a
//! connection that waits for room is woken once there is some.

use std::{collections::VecDeque, sync::atomic::AtomicBool, task::Wake};

use proptest::{collection::vec, prelude::*};
use tokio::time::Duration;

use super::*;

const LIMIT: usize = 24 * 1024;
const TOTAL: usize = 32 * 1024;
const CONNECTIONS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A connection reads a message of this many bytes.
    Read(usize, usize),
    /// The oldest message of a connection is done.
    Done(usize),
    /// Its newest message is done, as when another of its channels is quicker.
    DoneLast(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let connection = 0..CONNECTIONS;
    let bytes = prop_oneof![0..2_000_usize, Just(9_000), Just(30_000), Just(100_000)];
    prop_oneof![
        3 => (connection.clone(), bytes).prop_map(|(at, bytes)| Step::Read(at, bytes)),
        2 => connection.clone().prop_map(Step::Done),
        1 => connection.prop_map(Step::DoneLast),
    ]
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A connection. It reads nothing while a message waits.
struct Connection {
    budget: Arc<Budget>,
    shares: VecDeque<BudgetPermit>,
    wait: Option<(usize, Wait)>,
    woken: Arc<Woken>,
}

impl Connection {
    fn new(total: &Arc<TotalBudget>) -> Self {
        Connection {
            budget: Budget::new(LIMIT, total.clone()),
            shares: VecDeque::new(),
            wait: None,
            woken: Arc::default(),
        }
    }

    fn read(&mut self, frame: usize) {
        if self.wait.is_some() {
            return;
        }
        match self.budget.admit(frame) {
            Ok(admitted) => self.shares.push_back(self.budget.claim(admitted).take()),
            Err(spent) => {
                let never = Instant::now() + Duration::from_secs(3600);
                self.wait = Some((frame, self.budget.wait(frame, spent, never)));
                self.poll();
            }
        }
    }

    /// Polls the connection, as its task does when it is woken.
    fn poll(&mut self) {
        self.woken.0.store(false, SeqCst);
        let waker = self.woken.clone().into();
        while let Some((frame, wait)) = &mut self.wait {
            if wait
                .poll(&self.budget, &mut Context::from_waker(&waker))
                .is_pending()
            {
                return;
            }
            assert!(!wait.is_over());
            if let Ok(admitted) = wait.admit(&self.budget, *frame) {
                self.shares.push_back(self.budget.claim(admitted).take());
                self.wait = None;
            }
        }
    }

    fn used(&self) -> usize {
        self.shares.iter().map(|share| share.bytes).sum()
    }
}

fn play(steps: Vec<Step>) {
    let total = TotalBudget::new(TOTAL);
    let mut all: Vec<_> = (0..CONNECTIONS).map(|_| Connection::new(&total)).collect();
    for step in steps {
        match step {
            Step::Read(at, frame) => all[at].read(frame),
            Step::Done(at) => drop(all[at].shares.pop_front()),
            Step::DoneLast(at) => drop(all[at].shares.pop_back()),
        }
        while let Some(woken) = all.iter_mut().find(|one| one.woken.0.load(SeqCst)) {
            woken.poll();
        }
        let mut beside = 0;
        for one in &all {
            let (used, own) = (one.used(), one.shares.iter());
            assert_eq!(one.budget.used.load(SeqCst), used);
            assert!(used <= LIMIT || one.shares.len() == 1, "{used} bytes wait");
            let own = own.filter(|share| share._total.is_none());
            let own: usize = own.map(|share| share.bytes).sum();
            assert!(own <= OWN);
            beside += own;
            assert!(
                one.wait.is_none() || used != 0 || total.free.available_permits() == 0,
                "a connection that has nothing waiting waits"
            );
        }
        let used: usize = all.iter().map(Connection::used).sum();
        let largest = 100_000 + OVERHEAD;
        assert!(used <= beside + TOTAL + largest, "{used} bytes wait of all");
    }
    // Once nothing waits any more, no message may still be held up.
    while let Some(one) = all.iter_mut().find(|one| !one.shares.is_empty()) {
        one.shares.clear();
        while let Some(woken) = all.iter_mut().find(|one| one.woken.0.load(SeqCst)) {
            woken.poll();
        }
    }
    assert!(all.iter().all(|one| one.wait.is_none()));
    assert_eq!(total.free.available_permits(), TOTAL);
}

proptest! {
    #[test]
    fn what_waits_is_bounded_and_no_connection_is_forgotten(steps in vec(step(), 0..120)) {
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _clock = clock.enter();
        play(steps);
    }
}

#[test]
fn what_is_admitted_and_not_taken_stays() {
    let budget = Budget::new(LIMIT, TotalBudget::new(TOTAL));
    for _ in 0..2 {
        drop(budget.claim(budget.admit(LIMIT).unwrap()));
    }
    assert_eq!(budget.used.load(SeqCst), 0);
    assert_eq!(budget.total.free.available_permits(), TOTAL);
}

#[test]
fn a_message_over_the_budget_fits_when_nothing_else_waits() {
    let budget = Budget::new(10, TotalBudget::new(10));
    let large = budget.claim(budget.admit(100_000).unwrap()).take();
    assert_eq!(budget.admit(1).unwrap_err(), Spent::Own);
    drop(large);
    assert!(budget.admit(1).is_ok());
}

#[test]
fn clients_that_have_spent_the_budget_of_all_do_not_keep_out_one_that_has_little_waiting() {
    let total = TotalBudget::new(TOTAL);
    let hogs = [(); 2].map(|()| Budget::new(usize::MAX, total.clone()));
    let take = |of: &Arc<Budget>, frame| of.admit(frame).map(|it| of.claim(it).take());
    let _taken = take(&hogs[0], TOTAL - OVERHEAD).unwrap();
    assert_eq!(take(&hogs[1], OWN).unwrap_err(), Spent::Total);
    let _little = take(&hogs[1], OWN - OVERHEAD).unwrap();
    assert_eq!(take(&hogs[1], 1).unwrap_err(), Spent::Total);
}
