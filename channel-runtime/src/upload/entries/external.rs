//! Files that a client sends elsewhere.

use serde_json::Value;

use super::{Entries, state::Phase};
use crate::upload::UploadEntry;

impl<D, W, L> Entries<D, W, L> {
    /// Records the progress of an external file as the client reports it. Returns true if a handler
    /// needs a notice.
    pub(in crate::upload) fn advance_external(&mut self, entry_ref: &str, percent: u8) -> bool {
        let Some(slot) = self.slots.named(entry_ref) else {
            return false;
        };
        matches!(slot.phase, Phase::External(_)) && slot.advance(percent.min(99))
    }

    /// Takes the client's report that an external file is complete. Returns the entry and the
    /// destination for the check.
    pub(in crate::upload) fn verify(&mut self, entry_ref: &str) -> Option<(UploadEntry, D)> {
        let slot = self.slots.named(entry_ref)?;
        match std::mem::replace(&mut slot.phase, Phase::Verifying) {
            Phase::External(destination) => Some((slot.entry.clone(), destination)),
            phase => {
                slot.phase = phase;
                None
            }
        }
    }

    /// Fails an external file that the client gives up: it stays with the error. Returns the entry
    /// to tell a handler of.
    pub(in crate::upload) fn give_up(
        &mut self,
        entry_ref: &str,
        reason: Value,
    ) -> Option<UploadEntry> {
        let slot = self.slots.named(entry_ref)?;
        matches!(slot.phase, Phase::External(_)).then(|| {
            slot.phase = Phase::Failed;
            slot.entry.set_error(reason);
            slot.entry.clone()
        })
    }
}
