//! Finished files, and who takes them.

use uuid::Uuid;

use super::{
    Entries, Left, NotTaken,
    state::{EntryState, Phase, Unlinked},
};
use crate::upload::UploadEntry;

impl<D, W, L> Entries<D, W, L> {
    /// Lends a finished file to a handler.
    pub(in crate::upload) fn take(
        &mut self,
        entry_ref: &str,
    ) -> Result<(UploadEntry, W), NotTaken> {
        let slot = self.slots.named(entry_ref).ok_or(NotTaken::Unknown)?;
        match std::mem::replace(&mut slot.phase, Phase::Failed) {
            Phase::Done(writer, link) => {
                slot.phase = Phase::Taken(link);
                slot.due = false;
                Ok((slot.entry.clone(), writer))
            }
            phase => {
                slot.phase = phase;
                Err(NotTaken::NotDone)
            }
        }
    }

    /// The handler gives the file back, to be taken again. Says whether it still has a channel.
    pub(in crate::upload) fn postpone(&mut self, uuid: Uuid, writer: W) -> bool {
        let Some(slot) = self.slots.get_mut(uuid) else {
            return false;
        };
        let Phase::Taken(link) = &mut slot.phase else {
            return false;
        };
        let link = link.take();
        let has_channel = link.is_some();
        slot.phase = Phase::Done(writer, link);
        has_channel
    }

    /// The handler is done with the file: it goes, and its channel ends.
    pub(in crate::upload) fn consume(&mut self, uuid: Uuid) -> Option<L> {
        let slot = self.slots.get(uuid)?;
        if !matches!(slot.phase, Phase::Taken(_)) {
            return None;
        }
        self.consumed += 1;
        self.slots.remove(uuid)?.into_link()
    }

    /// The channel of a file is over, and the file may go on without. Says whether a handler has
    /// it, or is about to.
    pub(in crate::upload) fn unlink(&mut self, uuid: Uuid) -> bool {
        let Some(slot) = self.slots.get_mut(uuid) else {
            return false;
        };
        if let Phase::Done(_, link) | Phase::Taken(link) = &mut slot.phase {
            *link = None;
        }
        !self.over && slot.is_handed_over()
    }

    /// The same, where the connection of a finished file is gone.
    pub(in crate::upload) fn leave(&mut self, uuid: Uuid) -> Left<W> {
        match self.unlink(uuid) {
            true => Left::ToHandler,
            false => self.detach(uuid).map_or(Left::Gone, Left::ToClient),
        }
    }

    /// Removes the files that a handler has, or is about to have, and whose channels are over.
    pub(in crate::upload) fn take_unlinked(&mut self) -> Vec<Unlinked<W>> {
        let slots = self.slots.iter();
        let unlinked = slots.filter(|slot| slot.is_handed_over() && slot.link().is_none());
        let uuids: Vec<_> = unlinked.map(|slot| slot.entry.uuid()).collect();
        let slots = uuids.into_iter().filter_map(|uuid| self.slots.remove(uuid));
        slots.map(EntryState::into_unlinked).collect()
    }

    /// A finished file that nobody has taken.
    pub(in crate::upload) fn finished_entry(&self, uuid: Uuid) -> Option<&UploadEntry> {
        let slot = self.slots.get(uuid)?;
        matches!(slot.phase, Phase::Done(..)).then_some(&slot.entry)
    }

    /// Removes a finished file, for a client that comes back for it elsewhere.
    pub(in crate::upload) fn detach(&mut self, uuid: Uuid) -> Option<W> {
        self.finished_entry(uuid)?;
        match self.slots.remove(uuid)?.phase {
            Phase::Done(writer, _) => Some(writer),
            _ => None,
        }
    }

    /// The refs of the files that can be taken.
    pub(in crate::upload) fn finished(&self) -> Vec<String> {
        self.done()
            .map(|slot| slot.entry.entry_ref().to_owned())
            .collect()
    }

    fn done(&self) -> impl Iterator<Item = &EntryState<D, W, L>> {
        let slots = self.slots.iter();
        slots.filter(|slot| matches!(slot.phase, Phase::Done(..)))
    }

    /// Whether every file is finished.
    pub(in crate::upload) fn is_complete(&self) -> bool {
        self.slots
            .iter()
            .all(|slot| matches!(slot.phase, Phase::Done(..)))
    }
}
