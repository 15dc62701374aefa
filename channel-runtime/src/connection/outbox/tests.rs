use std::{io, task::Waker};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;

fn outbox(policy: SlowConsumer) -> Arc<Outbox> {
    holding(3, policy)
}

/// Creates an outbox with room for this many frames, and for ten bytes in them.
fn holding(frames: usize, policy: SlowConsumer) -> Arc<Outbox> {
    let limits = OutboxLimits {
        frames: 3,
        bytes: 10 + frames * OVERHEAD,
        policy,
    };
    Outbox::new(limits, &Account::new(usize::MAX))
}

fn own(text: &str) -> OutboundFrame<'static> {
    OutboundFrame::Own(Frame::Text(text.to_owned().into()))
}

fn next(outbox: &Outbox) -> Option<Outgoing> {
    match outbox.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}

fn all(outbox: &Outbox) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(next) = next(outbox) {
        match next {
            Outgoing::Frame(frame) => {
                all.push(String::from_utf8(frame.bytes().to_vec()).unwrap());
            }
            Outgoing::Ended(topic, _) => all.push(format!("ended {topic}")),
            Outgoing::Close(close) => {
                all.push(format!("close {}", close.code));
                break;
            }
        }
    }
    all
}

#[test]
fn frames_and_ends_come_out_in_order_and_a_close_last() {
    let outbox = outbox(SlowConsumer::Disconnect);
    outbox.send(own("a"), Urgency::MustSend);
    outbox.ended("t".into(), ChannelId(1));
    outbox.send(own("b"), Urgency::Final);
    outbox.close(Close::DISCONNECT);
    outbox.send(own("late"), Urgency::Final);
    assert_eq!(all(&outbox), ["a", "ended t", "b", "close 1001"]);
}

#[test]
fn a_full_outbox_disconnects_the_client_by_default() {
    let outbox = outbox(SlowConsumer::Disconnect);
    for n in 0..4 {
        outbox.send(own(&n.to_string()), Urgency::MayDrop);
    }
    outbox.ended("t".into(), ChannelId(1));
    assert_eq!(
        all(&outbox),
        ["ended t", "close 1013"],
        "what waited is not worth sending"
    );
}

#[test]
fn drop_newest_leaves_out_broadcasts_and_drop_oldest_makes_room() {
    for (policy, kept) in [
        (SlowConsumer::DropNewest, ["r", "0", "1"]),
        (SlowConsumer::DropOldest, ["r", "2", "3"]),
    ] {
        let outbox = outbox(policy);
        outbox.send(own("r"), Urgency::MustSend);
        for n in 0..4 {
            outbox.send(own(&n.to_string()), Urgency::MayDrop);
        }
        assert_eq!(all(&outbox), kept);
    }
}

#[test]
fn a_reply_that_finds_no_room_disconnects_whatever_the_policy() {
    for policy in [
        SlowConsumer::Disconnect,
        SlowConsumer::DropNewest,
        SlowConsumer::DropOldest,
    ] {
        let outbox = outbox(policy);
        for _ in 0..3 {
            outbox.send(own("b"), Urgency::MayDrop);
        }
        outbox.send(own("r"), Urgency::MustSend);
        assert_eq!(all(&outbox), ["close 1013"]);
    }
}

#[test]
fn bytes_are_bounded_too_but_one_large_frame_fits_an_empty_outbox() {
    let outbox = holding(2, SlowConsumer::DropNewest);
    outbox.send(own("twelve bytes"), Urgency::MayDrop);
    outbox.send(own("x"), Urgency::MayDrop);
    assert_eq!(all(&outbox), ["twelve bytes"]);
    outbox.send(own("123456"), Urgency::MayDrop);
    outbox.send(own("12345"), Urgency::MayDrop);
    outbox.send(own("1234"), Urgency::MayDrop);
    assert_eq!(all(&outbox), ["123456", "1234"]);
}

#[test]
fn drop_oldest_keeps_what_the_client_counts_on_and_leaves_out_what_cannot_fit() {
    let outbox = holding(2, SlowConsumer::DropOldest);
    outbox.send(own("12345678"), Urgency::MustSend);
    outbox.send(own("a"), Urgency::MayDrop);
    outbox.send(own("bcd"), Urgency::MayDrop);
    assert_eq!(all(&outbox), ["12345678"]);
}

#[test]
fn an_abandoned_outbox_holds_nothing() {
    let outbox = outbox(SlowConsumer::Disconnect);
    outbox.send(own("a"), Urgency::MustSend);
    outbox.abandon();
    outbox.send(own("b"), Urgency::Final);
    outbox.ended("t".into(), ChannelId(1));
    assert!(next(&outbox).is_none());
}

#[test]
fn a_flood_of_tiny_frames_is_bounded_by_what_each_takes_beside_its_bytes() {
    let limits = OutboxLimits {
        frames: usize::MAX,
        bytes: 100 * OVERHEAD,
        policy: SlowConsumer::DropNewest,
    };
    let outbox = Outbox::new(limits, &Account::new(usize::MAX));
    (0..1000).for_each(|_| outbox.send(own(""), Urgency::MayDrop));
    assert_eq!(all(&outbox).len(), 100);
}

/// Creates outboxes that only their common budget bounds.
fn sharing<const N: usize>(
    budget: usize,
    policy: SlowConsumer,
) -> (Arc<Account>, [Arc<Outbox>; N]) {
    let account = Account::new(budget);
    let limits = OutboxLimits {
        frames: usize::MAX,
        bytes: usize::MAX,
        policy,
    };
    let outboxes = std::array::from_fn(|_| Outbox::new(limits, &account));
    (account, outboxes)
}

fn is_closed(outbox: &Outbox) -> bool {
    let closing = outbox.poll_closing(&mut Context::from_waker(Waker::noop()));
    closing == Poll::Ready(Close::SLOW_CONSUMER)
}

const KIB: &str = match std::str::from_utf8(&[b'x'; 1024]) {
    Ok(text) => text,
    Err(_) => "",
};

fn fill(outbox: &Arc<Outbox>, kib: usize) {
    (0..kib).for_each(|_| outbox.send(own(KIB), Urgency::MayDrop));
}

#[test]
fn when_the_budget_is_spent_the_slowest_goes_first() {
    let (account, [fast, slow, slower, slowest]) = sharing(2 << 20, SlowConsumer::Disconnect);
    fill(&slowest, 800);
    fill(&slower, 600);
    fill(&slow, 100);
    assert!(
        ![&slow, &slower, &slowest]
            .into_iter()
            .any(|one| is_closed(one))
    );
    // The one that spends the rest is not the one that is evicted.
    fill(&slow, 400);
    fill(&fast, 1);
    assert!(is_closed(&slowest), "holds the most");
    assert!(
        ![&fast, &slow, &slower]
            .into_iter()
            .any(|one| is_closed(one))
    );
    fill(&slow, 800);
    assert_eq!([is_closed(&slower), is_closed(&slow)], [false, true]);
    fill(&slower, 1100);
    assert!(!is_closed(&slower), "has the rest to itself");
    assert_eq!(all(&fast), [KIB]);
    assert_eq!(all(&slower).len(), 1700);
    assert_eq!(account.used(), 0, "what has gone out counts no more");
}

#[test]
fn of_equally_slow_clients_the_one_that_has_waited_longest_goes() {
    // Spent when the first has as much as the second.
    let (_account, [first, second]) = sharing(225_000, SlowConsumer::Disconnect);
    fill(&first, 50);
    fill(&second, 110);
    assert!(!is_closed(&first) && !is_closed(&second));
    fill(&first, 60);
    assert_eq!((is_closed(&first), is_closed(&second)), (true, false));
}

#[test]
fn a_broadcast_that_waits_for_many_counts_once_against_the_budget() {
    let (account, outboxes) = sharing::<50>(2 << 20, SlowConsumer::Disconnect);
    for _ in 0..100 {
        let shared = SharedFrame::new(Frame::Text(KIB.repeat(10).into()));
        for outbox in &outboxes {
            outbox.send(OutboundFrame::Shared(&shared), Urgency::MayDrop);
        }
    }
    assert!(!outboxes.iter().any(|outbox| is_closed(outbox)));
    assert!(account.used() >= 1000 * 1024);
    outboxes.iter().for_each(|outbox| outbox.abandon());
    assert_eq!(account.used(), 0);
}

#[test]
fn a_client_whose_policy_leaves_broadcasts_out_loses_them_and_stays() {
    for policy in [SlowConsumer::DropNewest, SlowConsumer::DropOldest] {
        let (_account, [quick, slow]) = sharing(1 << 20, policy);
        slow.send(own("reply"), Urgency::MustSend);
        fill(&slow, 1000);
        fill(&quick, 1);
        assert_eq!(
            (all(&slow)[0].as_str(), all(&quick)),
            ("reply", vec![KIB.to_owned()])
        );
        assert!(!is_closed(&slow));
        (0..1100).for_each(|_| slow.send(own(KIB), Urgency::MustSend));
        assert!(is_closed(&slow), "replies are not left out");
    }
}

#[test]
fn broadcasts_that_wait_for_their_channel_are_bounded_by_bytes() {
    let limits = OutboxLimits {
        frames: 1,
        bytes: 1 << 20,
        policy: SlowConsumer::Disconnect,
    };
    let account = Account::new(usize::MAX);
    let outbox = Outbox::new(limits, &account);
    let heard: Vec<_> = (0..2000).map_while(|_| outbox.intercept(1024)).collect();
    assert_eq!(heard.len(), (1 << 20) / (1024 + OVERHEAD));
    drop(heard);
    assert_eq!(account.used(), 0);
    let large = outbox.intercept(2 << 20);
    assert!(large.is_some(), "one larger than all fits where none waits");
    assert!(outbox.intercept(1).is_none());
}

/// The log of a test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines of a test that contain a word, and the slow clients counted, by reason.
fn observed(word: &str, test: impl FnOnce()) -> (Vec<String>, Vec<(String, u64)>) {
    let (recorder, lines) = (DebuggingRecorder::new(), Lines::default());
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(subscriber, test);
    });
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    let lines = text.lines().filter(|line| line.contains(word));
    let counted = recorder.snapshotter().snapshot().into_vec();
    let mut counted: Vec<_> = counted
        .into_iter()
        .filter(|(key, ..)| key.key().name() == "channel_slow_consumer_total")
        .filter_map(|(key, _, _, value)| {
            let reason = key.key().labels().next()?.value().to_owned();
            match value {
                DebugValue::Counter(count) => Some((reason, count)),
                _ => None,
            }
        })
        .collect();
    counted.sort();
    (lines.map(str::to_owned).collect(), counted)
}

#[test]
fn a_full_outbox_is_one_line_and_counted_with_its_reason() {
    let (lines, counted) = observed("an outbox is full", || {
        let outbox = holding(2, SlowConsumer::Disconnect);
        (0..5).for_each(|_| outbox.send(own("1234"), Urgency::MayDrop));
        assert!(is_closed(&outbox));
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(counted, [("outbox".to_owned(), 1)]);
}

#[test]
fn many_that_go_for_the_budget_are_a_few_lines_and_each_is_counted() {
    let (lines, counted) = observed("`outbox_bytes`", || {
        let (_account, outboxes) = sharing::<50>(1 << 20, SlowConsumer::Disconnect);
        outboxes.iter().for_each(|outbox| fill(outbox, 100));
        let gone = outboxes.iter().filter(|outbox| is_closed(outbox)).count();
        assert!((32..50).contains(&gone), "{gone}");
    });
    // At the counts 1, 2, 4, 8, 16 and 32.
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(lines[5].contains("clients=32"), "{lines:?}");
    let [(reason, gone)] = &*counted else {
        panic!("{counted:?}");
    };
    assert_eq!(reason, "endpoint");
    assert!((32..50).contains(gone), "{gone}");
}
