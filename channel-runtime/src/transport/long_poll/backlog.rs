//! What a client has not taken, as far as is known.

use std::sync::Arc;

use super::handle::{Answered, Poll, Polled};
use crate::{
    connection::Account,
    protocol::{Charge, Frame},
};

/// How many answers through other nodes a client may get without showing that it has one. A client
/// that gets more keeps the token it got first, and what it is given counts as taken.
const UNSHOWN: u32 = 1;

/// Messages that are out of the outbox and wait for a poll.
///
/// An answer that leaves through another node can get lost between the nodes. So it has a number,
/// which the client gets in its next token and hands back with its next poll: without that number
/// it gets the messages again. An answer of this node is not kept.
///
/// A request of another node may come twice, the second time after it was answered. It gets what it
/// got, under the same number: under another one its client, which has the first, would get the
/// messages twice.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Messages whose poll was gone before it got them.
    waiting: Vec<Frame>,
    /// The answer with the last number, until the client has shown that it has it.
    sent: Option<Sent>,
    number: u32,
    /// The highest number that the client has shown.
    shown: u32,
    /// Their bytes, of what may wait at the endpoint.
    charge: Option<Charge>,
}

/// An answer that left through another node.
#[derive(Debug)]
struct Sent {
    call: u64,
    frames: Vec<Frame>,
}

impl Backlog {
    /// Whether the client has all that was meant for it.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_none()
    }

    /// Counts what waits in the endpoint's account, where it counted in an outbox before.
    pub(super) fn count(&mut self, account: &Arc<Account>) {
        let sent = self.sent.iter().flat_map(|sent| &sent.frames);
        let bytes = self.waiting.iter().chain(sent).map(Frame::len).sum();
        self.charge = (bytes > 0).then(|| account.charge(bytes));
    }

    pub(super) fn push(&mut self, frames: Vec<Frame>) {
        self.waiting.extend(frames);
    }

    /// A poll has come, to be answered unless it is the last one again.
    pub(super) fn meet(&mut self, poll: Poll) -> Option<Poll> {
        match &self.sent {
            Some(sent) if poll.asked.call == Some(sent.call) => {
                let (frames, number) = (sent.frames.clone(), Some(self.number));
                let _gone = poll
                    .answer
                    .send(Polled::Messages(Answered { frames, number }));
                None
            }
            _ => {
                self.confirm(poll.asked.taken);
                Some(poll)
            }
        }
    }

    /// A poll has come, of a client whose last answer had this number.
    fn confirm(&mut self, taken: u32) {
        self.shown = self.shown.max(taken.min(self.number));
        let Some(mut sent) = self.sent.take() else {
            return;
        };
        let shows_none = self.shown == 0 && self.number > UNSHOWN;
        if taken < self.number && !shows_none {
            sent.frames.append(&mut self.waiting);
            self.waiting = sent.frames;
        }
    }

    /// Answers a poll, if there is something for it.
    pub(super) fn answer(&mut self, poll: &mut Option<Poll>) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let Some(Poll { answer, asked }) = poll.take() else {
            return false;
        };
        let frames = std::mem::take(&mut self.waiting);
        let number = asked.call.map(|_| self.number.wrapping_add(1));
        self.sent = asked.call.map(|call| Sent {
            call,
            frames: frames.clone(),
        });
        match answer.send(Polled::Messages(Answered { frames, number })) {
            Ok(()) => self.number = number.unwrap_or(self.number),
            Err(Polled::Messages(back)) => (self.sent, self.waiting) = (None, back.frames),
            Err(Polled::Displaced) => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::oneshot;

    use super::*;
    use crate::transport::long_poll::handle::Asked;

    fn message(text: &'static str) -> Vec<Frame> {
        vec![Frame::Text(text.into())]
    }

    /// What a poll gets: the messages and their number.
    fn poll(backlog: &mut Backlog, asked: Asked) -> Option<(String, Option<u32>)> {
        let (answer, mut polled) = oneshot::channel();
        let mut met = backlog.meet(Poll { answer, asked });
        backlog.answer(&mut met);
        let Ok(Polled::Messages(answered)) = polled.try_recv() else {
            return None;
        };
        let texts = answered.frames.iter();
        let texts = texts.map(|frame| std::str::from_utf8(frame.bytes()).unwrap());
        Some((texts.collect(), answered.number))
    }

    fn got(texts: &str, number: Option<u32>) -> Option<(String, Option<u32>)> {
        Some((texts.to_owned(), number))
    }

    /// Each is a request of its own.
    fn far(taken: u32) -> Asked {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = Some(CALLS.fetch_add(1, Ordering::Relaxed));
        Asked { taken, call }
    }

    fn near(taken: u32) -> Asked {
        let call = None;
        Asked { taken, call }
    }

    #[test]
    fn an_answer_through_another_node_is_kept_until_its_number_is_shown() {
        let mut backlog = Backlog::default();
        backlog.push(message("1"));
        assert_eq!(poll(&mut backlog, far(0)), got("1", Some(1)));
        assert!(!backlog.is_empty());
        assert_eq!(poll(&mut backlog, far(1)), None);
        assert!(backlog.is_empty());
    }

    #[test]
    fn what_was_lost_comes_again_before_what_is_new_whatever_node_is_asked() {
        for again in [far(1), near(1)] {
            let mut backlog = Backlog::default();
            backlog.push(message("1"));
            poll(&mut backlog, far(0));
            backlog.push(message("2"));
            poll(&mut backlog, far(1));
            backlog.push(message("3"));
            let number = again.call.map(|_| 3);
            assert_eq!(poll(&mut backlog, again), got("23", number));
            assert_eq!(poll(&mut backlog, far(3)), None);
        }
    }

    #[test]
    fn a_request_that_comes_again_gets_the_same_answer_and_its_client_no_message_twice() {
        let mut backlog = Backlog::default();
        backlog.push(message("1"));
        let asked = far(0);
        assert_eq!(poll(&mut backlog, asked), got("1", Some(1)));
        backlog.push(message("2"));
        assert_eq!(poll(&mut backlog, asked), got("1", Some(1)));
        assert_eq!(poll(&mut backlog, far(1)), got("2", Some(2)));
    }

    #[test]
    fn an_answer_of_this_node_is_not_kept() {
        let mut backlog = Backlog::default();
        backlog.push(message("1"));
        assert_eq!(poll(&mut backlog, near(0)), got("1", None));
        assert!(backlog.is_empty());
    }

    #[test]
    fn a_poll_that_is_gone_takes_nothing() {
        let mut backlog = Backlog::default();
        backlog.push(message("1"));
        for asked in [near(0), far(0)] {
            let (answer, gone) = oneshot::channel();
            drop(gone);
            assert!(backlog.answer(&mut Some(Poll { answer, asked })));
        }
        assert_eq!(poll(&mut backlog, far(0)), got("1", Some(1)));
    }

    #[test]
    fn a_client_that_keeps_its_first_token_is_not_told_the_same_for_ever() {
        let mut backlog = Backlog::default();
        backlog.push(message("1"));
        for number in 1..=2 {
            assert_eq!(poll(&mut backlog, far(0)), got("1", Some(number)));
        }
        backlog.push(message("2"));
        assert_eq!(poll(&mut backlog, far(0)), got("2", Some(3)));
        backlog.push(message("3"));
        assert_eq!(poll(&mut backlog, far(0)), got("3", Some(4)));
    }
}
