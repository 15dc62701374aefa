//! Messages from node to node without a topic: clients and channels can neither send nor receive
//! them, whatever topic they name. Nodes seal them with their shared secret keys, so that the
//! engine and its other users can neither read nor forge them.

#[cfg(any(feature = "long-poll", feature = "presence"))]
mod replay;

#[cfg(any(feature = "long-poll", feature = "presence"))]
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
#[cfg(any(feature = "long-poll", feature = "presence"))]
use parking_lot::{Mutex, RwLock};

use super::distributed::Origin;
#[cfg(any(feature = "long-poll", feature = "presence"))]
use super::{EnvelopeError, distributed::seal_message};
#[cfg(any(feature = "long-poll", feature = "presence"))]
use crate::token::{SealError, Token};

/// A node. Two nodes of the same name are still different peers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "long-poll", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Peer {
    /// The node's name, its address.
    pub(crate) node: String,
    /// The origin that tells nodes of the same name apart.
    pub(crate) origin: Origin,
}

/// A part of this node that receives node messages from the same part of other nodes.
#[cfg(any(feature = "long-poll", feature = "presence"))]
pub(crate) trait NodeHandler: Send + Sync {
    /// Takes a node message that is genuine and has not arrived before. Called by the task that
    /// reads from the engine: it must not block.
    fn receive(&self, from: &Peer, body: Bytes);

    /// Takes a node message for another node of this name: an earlier process, or one that runs
    /// beside this one.
    fn misdirected(&self, from: &Peer, body: Bytes);
}

/// A node message in transit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeMessage {
    pub(super) from: Peer,
    pub(super) to: Origin,
    pub(super) mailbox: String,
    /// The readable part of the message, which the seal covers too.
    pub(super) clear: Bytes,
    pub(super) sealed: Bytes,
}

/// The mailboxes of this node, by name.
#[derive(Default)]
pub(super) struct NodeHandlers {
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    boxes: RwLock<HashMap<String, Arc<SealedMailbox>>>,
}

/// A mailbox and its seal.
#[cfg(any(feature = "long-poll", feature = "presence"))]
struct SealedMailbox {
    mailbox: Arc<dyn NodeHandler>,
    token: Token,
    next: AtomicU64,
    heard: Mutex<replay::ReplayWindow>,
}

#[cfg(any(feature = "long-poll", feature = "presence"))]
impl NodeHandlers {
    pub(super) fn open(&self, name: &str, token: Token, mailbox: Arc<dyn NodeHandler>) {
        let post = SealedMailbox {
            mailbox,
            token,
            next: AtomicU64::new(1),
            heard: Mutex::default(),
        };
        self.boxes.write().insert(name.to_owned(), Arc::new(post));
    }

    /// Seals a node message from a mailbox of this node; `None` if there is no such mailbox.
    pub(super) fn seal(
        &self,
        from: &Peer,
        to: Origin,
        mailbox: &str,
        body: &[u8],
    ) -> Option<Result<Bytes, SealError>> {
        let post = self.boxes.read().get(mailbox).cloned()?;
        let number = post.next.fetch_add(1, Ordering::Relaxed);
        let seal = |clear: &[u8], body: &[u8]| post.token.seal(body, clear);
        Some(seal_message(from, to, mailbox, number, body, seal))
    }

    /// Delivers a node message to its mailbox. A message for an unknown mailbox is dropped: another
    /// node may have a mailbox that this one lacks.
    ///
    /// # Errors
    ///
    /// The message is not genuine, or has arrived before.
    pub(super) fn receive(&self, here: Origin, mail: &NodeMessage) -> Result<(), EnvelopeError> {
        let Some(post) = self.boxes.read().get(&mail.mailbox).cloned() else {
            return Ok(());
        };
        let opened = post.token.open(&mail.sealed, &mail.clear);
        let opened = Bytes::from(opened.ok_or(EnvelopeError::Forged)?);
        let number = opened.first_chunk().copied().map(u64::from_be_bytes);
        let number = number.ok_or(EnvelopeError::CutOff)?;
        if !post.heard.lock().take(mail.from.origin, number) {
            return Err(EnvelopeError::Replayed);
        }
        let body = opened.slice(size_of::<u64>()..);
        match mail.to == here || mail.to == Origin::ALL {
            true => post.mailbox.receive(&mail.from, body),
            false => post.mailbox.misdirected(&mail.from, body),
        }
        Ok(())
    }
}

#[cfg(not(any(feature = "long-poll", feature = "presence")))]
impl NodeHandlers {
    /// Drops the message: another node may have a mailbox that this one lacks.
    pub(super) fn receive(&self, _: Origin, _: &NodeMessage) -> Result<(), super::EnvelopeError> {
        Ok(())
    }
}

#[cfg(test)]
#[cfg(any(feature = "long-poll", feature = "presence"))]
mod tests;
