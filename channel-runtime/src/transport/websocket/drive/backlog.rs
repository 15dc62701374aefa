//! The received messages that wait.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::transport::websocket::codec::{Message, Opcode, frame};

/// Messages that found no room, and answers to pings. Most connections never have any, so memory is
/// allocated only when needed.
#[derive(Default)]
pub(super) struct Backlog(Option<Box<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// The remaining messages of one read.
    messages: VecDeque<Message>,
    /// The pongs for the driver to write.
    pongs: BytesMut,
}

impl Backlog {
    /// Returns true if a message waits.
    pub(super) fn has_messages(&self) -> bool {
        self.0.as_ref().is_some_and(|it| !it.messages.is_empty())
    }

    /// Returns the size of the waiting messages, in bytes.
    pub(super) fn len(&self) -> usize {
        let messages = self.0.iter().flat_map(|waiting| &waiting.messages);
        messages.map(Message::len).sum()
    }

    pub(super) fn push_back(&mut self, message: Message) {
        self.waiting().messages.push_back(message);
    }

    /// Puts back a message that found no room.
    pub(super) fn push_front(&mut self, message: Message) {
        self.waiting().messages.push_front(message);
    }

    pub(super) fn pop_front(&mut self) -> Option<Message> {
        let message = self.0.as_mut()?.messages.pop_front();
        self.trim();
        message
    }

    /// Answers a ping with its payload.
    pub(super) fn pong(&mut self, data: &Bytes) {
        let pong = frame(Opcode::Pong, data);
        self.waiting().pongs.extend_from_slice(&pong);
    }

    /// Removes and returns the answers to write.
    pub(super) fn take_pongs(&mut self) -> Option<BytesMut> {
        let pongs = std::mem::take(&mut self.0.as_mut()?.pongs);
        self.trim();
        (!pongs.is_empty()).then_some(pongs)
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.0.get_or_insert_default()
    }

    fn trim(&mut self) {
        self.0
            .take_if(|waiting| waiting.messages.is_empty() && waiting.pongs.is_empty());
    }
}
