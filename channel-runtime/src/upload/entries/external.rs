//! Files that a client sends elsewhere.

use serde_json::Value;

use super::{Entries, state::Phase};
use crate::upload::UploadEntry;

impl<D, W, L> Entries<D, W, L> {
    /// How much of a file is sent elsewhere, as the client says. Says whether a handler is to be
    /// told.
    pub(in crate::upload) fn advance_external(&mut self, entry_ref: &str, percent: u8) -> bool {
        let Some(slot) = self.slots.named(entry_ref) else {
            return false;
        };
        matches!(slot.phase, Phase::External(_)) && slot.advance(percent.min(99))
    }

    /// The client says that a file is all there, elsewhere: gives what is to be verified.
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

    /// The client gives up a file that it sends elsewhere, which stays with the error. Gives what
    /// a handler is to be told.
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
