//! The messages that a client is not known to have received.

use std::sync::Arc;

use super::handle::{Answered, Poll, Polled};
use crate::{
    connection::Account,
    protocol::{Charge, Frame},
};

/// The number of answers through other nodes that a client may get without confirming one. A client
/// that gets more keeps its first token, and its answers count as received.
const UNSHOWN: u32 = 1;

/// The messages that have left the outbox and wait for a poll.
///
/// An answer that leaves through another node can get lost between the nodes. So it has a number,
/// which the client gets in its next token and returns with its next poll. Without that number the
/// client gets the messages again. An answer of this node is not kept.
///
/// A request of another node may arrive twice, the second time after it was answered. It gets the
/// same answer under the same number: under another number its client, which has the first, would
/// get the messages twice.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Messages whose poll went away before it got them.
    waiting: Vec<Frame>,
    /// The answer with the last number, until the client has confirmed it.
    sent: Option<Sent>,
    number: u32,
    /// The highest number that the client has confirmed.
    shown: u32,
    /// The charge for the waiting bytes on the endpoint's account.
    charge: Option<Charge>,
}

/// An answer that left through another node.
#[derive(Debug)]
struct Sent {
    call: u64,
    frames: Vec<Frame>,
}

impl Backlog {
    /// Returns true if the client has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_none()
    }

    /// Charges the waiting messages to the endpoint's account, since they have left the outbox that
    /// counted them.
    pub(super) fn count(&mut self, account: &Arc<Account>) {
        let sent = self.sent.iter().flat_map(|sent| &sent.frames);
        let bytes = self.waiting.iter().chain(sent).map(Frame::len).sum();
        self.charge = (bytes > 0).then(|| account.charge(bytes));
    }

    pub(super) fn push(&mut self, frames: Vec<Frame>) {
        self.waiting.extend(frames);
    }

    /// Takes a poll. Repeats the last answer if the poll is a repeat of the last one; returns any
    /// other poll for an answer.
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

    /// Records that a client polls whose last answer had this number.
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

    /// Answers a poll with the waiting messages; returns false without messages or a poll.
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

    /// Returns the answer to a poll: the messages and their number.
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

    /// Returns a poll through another node; each is a request of its own.
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
