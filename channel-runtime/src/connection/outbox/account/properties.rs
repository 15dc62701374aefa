//! In any order of events the outboxes and their account agree on what waits, nothing stays counted
//! that is gone, and the budget holds.

use std::task::{Context, Poll, Waker};

use proptest::{collection::vec, prelude::*, sample::select};

use super::super::*;

const OUTBOXES: usize = 3;

const BUDGET: usize = 1 << 20;

#[derive(Clone, Debug)]
enum Step {
    Own(usize, usize, Urgency),
    /// A frame to all outboxes in the set of bits.
    Shared(u8, usize),
    Ended(usize),
    /// The client takes this many frames.
    Take(usize, usize),
    InterceptPermit(usize, usize),
    /// The oldest broadcast that waits for a channel is taken.
    Handled,
    Close(usize),
    Abandon(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..OUTBOXES;
    let len = prop_oneof![0..200_usize, 1000..20_000_usize, 60_000..200_000_usize];
    let urgency = select(vec![Urgency::MayDrop, Urgency::MustSend, Urgency::Final]);
    prop_oneof![
        8 => (one.clone(), len.clone(), urgency).prop_map(|(at, len, u)| Step::Own(at, len, u)),
        8 => (0..8_u8, len.clone()).prop_map(|(to, len)| Step::Shared(to, len)),
        1 => one.clone().prop_map(Step::Ended),
        6 => (one.clone(), 1..20_usize).prop_map(|(at, most)| Step::Take(at, most)),
        4 => (one.clone(), len).prop_map(|(at, len)| Step::InterceptPermit(at, len)),
        4 => Just(Step::Handled),
        1 => one.clone().prop_map(Step::Close),
        1 => one.prop_map(Step::Abandon),
    ]
}

fn text(len: usize) -> Frame {
    Frame::Text("x".repeat(len).into())
}

/// Checks that the outbox counts its content right, and that the account agrees.
fn check(outbox: &Outbox) {
    let state = outbox.state.lock();
    let costs: Vec<Cost> = state.queue.iter().filter_map(Queued::cost).collect();
    assert_eq!(state.frames, costs.len());
    assert_eq!(
        state.bytes,
        costs.iter().map(|cost| cost.all).sum::<usize>()
    );
    assert_eq!(state.own, costs.iter().map(|cost| cost.own).sum::<usize>());
    if state.close.is_none() && !state.abandoned {
        assert!(
            state.bytes <= state.noted.max(FREE),
            "more waits than is known"
        );
        let waiting = outbox.account.waiting.lock();
        let known = waiting.get(&outbox.id).map_or(0, |known| known.bytes);
        assert_eq!(known, state.noted);
        let charge = waiting.get(&outbox.id).map_or(0, |known| known.charge);
        assert!(state.own <= charge + STEP, "more counts than is charged");
    }
}

proptest! {
    #[test]
    fn what_waits_is_counted_once_and_never_more_than_the_budget(
        steps in vec(step(), 1..200),
        policy in select(vec![
            SlowConsumer::Disconnect,
            SlowConsumer::DropNewest,
            SlowConsumer::DropOldest,
        ]),
    ) {
        let account = Account::new(BUDGET);
        let limits = OutboxLimits { frames: 1000, bytes: 600_000, policy };
        let outboxes: [_; OUTBOXES] = std::array::from_fn(|_| Outbox::new(limits, &account));
        let mut heard = std::collections::VecDeque::new();
        for step in steps {
            match step {
                Step::Own(at, len, urgency) => outboxes[at].send(OutboundFrame::Own(text(len)), urgency),
                Step::Shared(to, len) => {
                    let shared = SharedFrame::new(text(len));
                    for (at, outbox) in outboxes.iter().enumerate() {
                        if to & (1 << at) != 0 {
                            outbox.send(OutboundFrame::Shared(&shared), Urgency::MayDrop);
                        }
                    }
                }
                Step::Ended(at) => outboxes[at].ended("t".into(), ChannelId(1)),
                Step::Take(at, most) => {
                    let cx = &mut Context::from_waker(Waker::noop());
                    for _ in 0..most {
                        match outboxes[at].poll_next(cx) {
                            Poll::Ready(Outgoing::Close(_)) | Poll::Pending => break,
                            Poll::Ready(_) => {}
                        }
                    }
                }
                Step::InterceptPermit(at, len) => heard.extend(outboxes[at].intercept(len)),
                Step::Handled => drop(heard.pop_front()),
                Step::Close(at) => outboxes[at].close(Close::DISCONNECT),
                Step::Abandon(at) => outboxes[at].abandon(),
            }
            outboxes.iter().for_each(|outbox| check(outbox));
            let none_left = account.waiting.lock().is_empty();
            prop_assert!(!account.is_spent() || none_left, "somebody could have made room");
        }
        heard.clear();
        outboxes.iter().for_each(|outbox| outbox.abandon());
        prop_assert_eq!(account.used(), 0);
    }
}
