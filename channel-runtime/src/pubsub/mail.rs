//! Messages from node to node on no topic: no client and no channel can send one or hear one,
//! whatever topic it names.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::RwLock;

/// A part of this node that the same part of other nodes writes to.
pub(crate) trait Mailbox: Send + Sync {
    /// Takes a letter of a node. Called by whoever reads from the engine: it must not block. What
    /// the letter says may be anything.
    fn receive(&self, from: &str, letter: Bytes);
}

/// A letter on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mail {
    /// The name of the node that wrote it.
    pub(super) from: String,
    pub(super) mailbox: String,
    pub(super) letter: Bytes,
}

/// The mailboxes of this node, by name.
#[derive(Default)]
pub(super) struct Mailboxes(RwLock<HashMap<String, Arc<dyn Mailbox>>>);

impl Mailboxes {
    #[cfg(feature = "longpoll")]
    pub(super) fn open(&self, name: &str, mailbox: Arc<dyn Mailbox>) {
        self.0.write().insert(name.to_owned(), mailbox);
    }

    /// A letter to nobody is dropped: another node may serve what this one does not.
    pub(super) fn receive(&self, mail: Mail) {
        let mailbox = self.0.read().get(&mail.mailbox).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.receive(&mail.from, mail.letter);
        }
    }
}
