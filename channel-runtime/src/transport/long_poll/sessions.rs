//! The sessions of one socket, where requests find them.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::handle::Handle;
use crate::{
    pubsub::Peer,
    token::{SealError, random},
};

/// The contents of a session's token, encrypted so that node names do not leak.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) id: SessionId,
    /// The node that has the session; `None` if there are no other nodes.
    pub(super) host: Option<Peer>,
    /// The number of the last answer that went through another node.
    pub(super) taken: u32,
}

/// The id of a session: random, so that no token of an earlier process matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct SessionId(u64, u64);

impl SessionId {
    pub(super) fn random() -> Result<Self, SealError> {
        let word = || random().map(u64::from_le_bytes);
        Ok(SessionId(word()?, word()?))
    }
}

/// The sessions of one socket. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<SessionId, Handle>>>);

impl Sessions {
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }

    pub(super) fn get(&self, id: SessionId) -> Option<Handle> {
        self.0.lock().get(&id).cloned()
    }

    /// Adds a session, unless there are `most` of them already.
    pub(super) fn insert(&self, id: SessionId, handle: Handle, most: usize) -> Option<Entry> {
        let mut sessions = self.0.lock();
        if sessions.len() >= most {
            return None;
        }
        sessions.insert(id, handle);
        let sessions = self.clone();
        Some(Entry { sessions, id })
    }
}

/// A session's entry among the sessions; removed when dropped.
pub(super) struct Entry {
    sessions: Sessions,
    id: SessionId,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut sessions = self.sessions.0.lock();
        sessions.remove(&self.id);
        if sessions.is_empty() {
            sessions.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_bounded_found_and_forgotten_without_a_trace() {
        let sessions = Sessions::default();
        let ids: Vec<_> = (0..1000).map(|_| SessionId::random().unwrap()).collect();
        let insert = |id| sessions.insert(id, Handle::new().0, 1000);
        let entries: Vec<_> = ids.iter().filter_map(|id| insert(*id)).collect();
        assert_eq!((entries.len(), sessions.count()), (1000, 1000));
        assert!(sessions.get(ids[999]).is_some());
        let late = SessionId::random().unwrap();
        assert!(insert(late).is_none() && sessions.get(late).is_none());
        drop(entries);
        assert!(sessions.get(ids[999]).is_none());
        assert_eq!((sessions.count(), sessions.0.lock().capacity()), (0, 0));
    }
}
