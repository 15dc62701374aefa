//! Takes finished files, for handlers and for clients that come back.

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

    /// Takes the file back from a handler, to be taken again. Returns true if it still has a
    /// channel.
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

    /// Removes a file that a handler is done with. Returns its channel, which ends.
    pub(in crate::upload) fn consume(&mut self, uuid: Uuid) -> Option<L> {
        let slot = self.slots.get(uuid)?;
        if !matches!(slot.phase, Phase::Taken(_)) {
            return None;
        }
        self.consumed += 1;
        self.slots.remove(uuid)?.into_link()
    }

    /// Unlinks a file from its channel, which is over; the file may go on without it. Returns true
    /// if a handler has it, or is about to get it.
    pub(in crate::upload) fn unlink(&mut self, uuid: Uuid) -> bool {
        let Some(slot) = self.slots.get_mut(uuid) else {
            return false;
        };
        if let Phase::Done(_, link) | Phase::Taken(link) = &mut slot.phase {
            *link = None;
        }
        !self.over && slot.is_handed_over()
    }

    /// Does the same for a finished file whose connection is gone.
    pub(in crate::upload) fn leave(&mut self, uuid: Uuid) -> Left<W> {
        match self.unlink(uuid) {
            true => Left::ToHandler,
            false => self.detach(uuid).map_or(Left::Gone, Left::ToClient),
        }
    }

    /// Removes the files that a handler has, or is about to get, and whose channels are over.
    pub(in crate::upload) fn take_unlinked(&mut self) -> Vec<Unlinked<W>> {
        let slots = self.slots.iter();
        let unlinked = slots.filter(|slot| slot.is_handed_over() && slot.link().is_none());
        let uuids: Vec<_> = unlinked.map(|slot| slot.entry.uuid()).collect();
        let slots = uuids.into_iter().filter_map(|uuid| self.slots.remove(uuid));
        slots.map(EntryState::into_unlinked).collect()
    }

    /// Returns the entry of a finished file that no handler has taken.
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

    /// Returns the refs of the files that can be taken.
    pub(in crate::upload) fn finished(&self) -> Vec<String> {
        self.done()
            .map(|slot| slot.entry.entry_ref().to_owned())
            .collect()
    }

    fn done(&self) -> impl Iterator<Item = &EntryState<D, W, L>> {
        let slots = self.slots.iter();
        slots.filter(|slot| matches!(slot.phase, Phase::Done(..)))
    }

    /// Returns true if every file is finished.
    pub(in crate::upload) fn is_complete(&self) -> bool {
        self.slots
            .iter()
            .all(|slot| matches!(slot.phase, Phase::Done(..)))
    }
}
