use std::{collections::VecDeque, task::Waker};

use parking_lot::Mutex;

use super::*;
use crate::connection::outbox::{flush::batched, sink::TryWrite};
use crate::{
    connection::{
        Account, FlushWorkers, OutboundFrame, OutboxLimits, SlowConsumer, Urgency, corked,
    },
    protocol::SharedFrame,
};

/// A client that takes the given number of bytes at a time.
#[derive(Default)]
struct Client {
    takes: Mutex<VecDeque<usize>>,
    got: Mutex<Vec<u8>>,
    writes: Mutex<usize>,
}

impl TryWrite for Client {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        *self.writes.lock() += 1;
        let all = slices.iter().flat_map(|slice| slice.iter().copied());
        let takes = self.takes.lock().pop_front().unwrap_or(usize::MAX);
        if takes == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let before = self.got.lock().len();
        self.got.lock().extend(all.take(takes));
        Ok(self.got.lock().len() - before)
    }
}

fn outbox(policy: SlowConsumer) -> (Arc<Outbox>, Arc<Client>) {
    let limits = OutboxLimits {
        frames: 3,
        bytes: 1000,
        policy,
    };
    let outbox = Outbox::new(limits, &Account::new(usize::MAX));
    let client = Arc::new(Client::default());
    let encode = |frame: &Frame| Bytes::from([b"<", &frame.bytes()[..], b">"].concat());
    outbox.write_directly(
        Direct::new(Sink::Test(client.clone()), encode),
        Arc::default(),
    );
    (outbox, client)
}

fn own(text: &str) -> OutboundFrame<'static> {
    OutboundFrame::Own(Frame::Text(text.to_owned().into()))
}

fn got(client: &Client) -> String {
    String::from_utf8(client.got.lock().clone()).unwrap()
}

fn next(outbox: &Outbox) -> Option<DirectEvent> {
    match outbox.poll_direct(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

#[test]
fn what_is_sent_is_written_at_once_and_a_burst_in_one_write() {
    let (outbox, client) = outbox(SlowConsumer::Disconnect);
    outbox.send(own("a"), Urgency::MustSend);
    assert_eq!((got(&client).as_str(), *client.writes.lock()), ("<a>", 1));
    corked(&outbox, || {
        outbox.send(own("b"), Urgency::MustSend);
        outbox.send(
            OutboundFrame::Shared(&SharedFrame::new(Frame::Text("c".into()))),
            Urgency::MayDrop,
        );
        outbox.send(
            OutboundFrame::Wire(Bytes::from_static(b"[d]")),
            Urgency::MustSend,
        );
        assert_eq!(got(&client), "<a>");
    });
    assert_eq!(
        (got(&client).as_str(), *client.writes.lock()),
        ("<a><b><c>[d]", 2)
    );
}

#[test]
fn what_is_sent_within_several_corks_is_written_once_when_the_outermost_is_off() {
    let (outbox, client) = outbox(SlowConsumer::Disconnect);
    corked(&outbox, || {
        outbox.send(own("a"), Urgency::MustSend);
        corked(&outbox, || outbox.send(own("b"), Urgency::MustSend));
        outbox.send(own("c"), Urgency::MustSend);
        assert_eq!(got(&client), "");
    });
    assert_eq!(
        (got(&client).as_str(), *client.writes.lock()),
        ("<a><b><c>", 1)
    );
}

#[test]
fn what_a_turn_broadcasts_is_written_to_others_before_the_turn_is_over() {
    let (mine, me) = outbox(SlowConsumer::Disconnect);
    let (theirs, they) = outbox(SlowConsumer::Disconnect);
    corked(&mine, || {
        batched(|| {
            mine.send(own("all"), Urgency::MayDrop);
            theirs.send(own("all"), Urgency::MayDrop);
            assert_eq!(got(&they), "");
        });
        assert_eq!((got(&they).as_str(), got(&me).as_str()), ("<all>", ""));
        mine.send(own("reply"), Urgency::MustSend);
    });
    assert_eq!((got(&me).as_str(), *me.writes.lock()), ("<all><reply>", 1));
}

#[test]
fn a_burst_longer_than_the_outbox_is_no_slowness_of_the_client() {
    let (outbox, client) = outbox(SlowConsumer::Disconnect);
    corked(&outbox, || {
        (0..50).for_each(|n| outbox.send(own(&n.to_string()), Urgency::MayDrop))
    });
    assert_eq!(got(&client).matches('<').count(), 50);
    assert_eq!(next(&outbox), None);
}

#[test]
fn what_a_client_takes_in_parts_arrives_whole_and_in_order() {
    let (outbox, client) = outbox(SlowConsumer::Disconnect);
    client.takes.lock().extend([2, 1, 0]);
    outbox.send(own("abc"), Urgency::MustSend);
    assert_eq!(
        (got(&client).as_str(), next(&outbox)),
        ("<ab", Some(DirectEvent::Blocked))
    );
    outbox.send(own("d"), Urgency::MustSend);
    assert_eq!(
        got(&client),
        "<ab",
        "nobody writes to a client that is blocked"
    );
    assert!(outbox.is_half_written());
    outbox.unblock();
    assert_eq!((got(&client).as_str(), next(&outbox)), ("<abc><d>", None));
    assert!(!outbox.is_half_written());
}

#[test]
fn nothing_behind_the_end_of_a_channel_is_written_before_it_is_taken() {
    let (outbox, client) = outbox(SlowConsumer::Disconnect);
    corked(&outbox, || {
        outbox.send(own("a"), Urgency::MustSend);
        outbox.ended("t".into(), ChannelId(1));
        outbox.send(own("closed"), Urgency::Final);
    });
    assert_eq!(got(&client), "<a>");
    assert_eq!(
        next(&outbox),
        Some(DirectEvent::Ended("t".into(), ChannelId(1)))
    );
    outbox.flush();
    assert_eq!(got(&client), "<a><closed>");
}

#[test]
fn a_close_comes_when_all_has_been_written() {
    let (outbox, client) = outbox(SlowConsumer::Disconnect);
    client.takes.lock().extend([1, 0]);
    outbox.send(own("a"), Urgency::MustSend);
    outbox.close(Close::DISCONNECT);
    assert_eq!(next(&outbox), Some(DirectEvent::Blocked));
    outbox.unblock();
    assert_eq!(
        (got(&client).as_str(), next(&outbox)),
        ("<a>", Some(DirectEvent::Close(Close::DISCONNECT)))
    );
}

#[test]
fn a_frame_half_written_is_neither_dropped_nor_cut() {
    for policy in [SlowConsumer::DropOldest, SlowConsumer::Disconnect] {
        let (outbox, client) = outbox(policy);
        client.takes.lock().extend([2, 0]);
        let shared = SharedFrame::new(Frame::Text("abc".into()));
        (0..6).for_each(|_| outbox.send(OutboundFrame::Shared(&shared), Urgency::MayDrop));
        outbox.unblock();
        let expected = match policy {
            SlowConsumer::DropOldest => "<abc><abc><abc>",
            _ => "<abc>",
        };
        assert_eq!(got(&client), expected, "{policy:?}");
    }
}

#[test]
fn what_waits_when_direct_writing_begins_is_written_first() {
    let limits = OutboxLimits {
        frames: 3,
        bytes: 1000,
        policy: SlowConsumer::Disconnect,
    };
    let outbox = Outbox::new(limits, &Account::new(usize::MAX));
    outbox.send(own("early"), Urgency::MustSend);
    let client = Arc::new(Client::default());
    let encode = |frame: &Frame| frame.bytes().clone();
    outbox.write_directly(
        Direct::new(Sink::Test(client.clone()), encode),
        Arc::default(),
    );
    outbox.send(own(", late"), Urgency::MustSend);
    assert_eq!(got(&client), "early, late");
}

#[test]
fn a_panic_in_a_corked_task_loses_nothing() {
    let (outbox, client) = outbox(SlowConsumer::Disconnect);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        corked(&outbox, || {
            outbox.send(own("a"), Urgency::MustSend);
            panic!("as told");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(got(&client), "<a>");
    outbox.send(own("b"), Urgency::MustSend);
    assert_eq!(got(&client), "<a><b>", "the cork is off again");
}

#[tokio::test]
async fn a_large_burst_is_flushed_by_the_lanes() {
    let workers = FlushWorkers::start();
    let encode = |frame: &Frame| frame.bytes().clone();
    let clients: Vec<_> = (0..200)
        .map(|n| {
            let limits = OutboxLimits {
                frames: 3,
                bytes: 1000,
                policy: SlowConsumer::Disconnect,
            };
            let outbox = Outbox::new(limits, &Account::new(usize::MAX));
            let client = Arc::new(Client::default());
            outbox.write_directly(
                Direct::new(Sink::Test(client.clone()), encode),
                workers.worker(n),
            );
            (outbox, client)
        })
        .collect();
    batched(|| {
        clients
            .iter()
            .for_each(|(outbox, _)| outbox.send(own("x"), Urgency::MayDrop))
    });
    while clients.iter().any(|(_, client)| got(client) != "x") {
        tokio::task::yield_now().await;
    }
}
