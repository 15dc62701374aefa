//! What has been read and waits.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::transport::websocket::codec::{Message, Opcode, frame};

/// Messages that have found no room, and answers to pings. Most connections never have any, so
/// there is no memory for it before.
#[derive(Default)]
pub(super) struct Backlog(Option<Box<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// The rest of what was read at once.
    messages: VecDeque<Message>,
    /// For the driver to write.
    pongs: BytesMut,
}

impl Backlog {
    /// Whether a message waits.
    pub(super) fn has_messages(&self) -> bool {
        self.0.as_ref().is_some_and(|it| !it.messages.is_empty())
    }

    /// How many bytes the messages have that wait.
    pub(super) fn len(&self) -> usize {
        let messages = self.0.iter().flat_map(|waiting| &waiting.messages);
        messages.map(Message::len).sum()
    }

    pub(super) fn push_back(&mut self, message: Message) {
        self.waiting().messages.push_back(message);
    }

    /// Puts a message back that has found no room.
    pub(super) fn push_front(&mut self, message: Message) {
        self.waiting().messages.push_front(message);
    }

    pub(super) fn pop_front(&mut self) -> Option<Message> {
        let message = self.0.as_mut()?.messages.pop_front();
        self.trim();
        message
    }

    /// Answers a ping, with what it carried.
    pub(super) fn pong(&mut self, data: &Bytes) {
        let pong = frame(Opcode::Pong, data);
        self.waiting().pongs.extend_from_slice(&pong);
    }

    /// The answers that are to be written.
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
