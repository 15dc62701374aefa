use std::task::Waker;

use super::*;

fn outbox(policy: SlowConsumer) -> Arc<Outbox> {
    Outbox::new(OutboxLimits {
        frames: 3,
        bytes: 10,
        policy,
    })
}

fn own(text: &str) -> Out<'static> {
    Out::Own(Frame::Text(text.to_owned().into()))
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
    let outbox = outbox(SlowConsumer::DropNewest);
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
    let outbox = outbox(SlowConsumer::DropOldest);
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
