//! Files that a client sends elsewhere.

use super::{Entries, slot::Phase};
use crate::upload::UploadEntry;

impl<D, W, L> Entries<D, W, L> {
    /// How much of a file is sent elsewhere, as the client says. Says whether a handler is to be
    /// told.
    pub(in crate::upload) fn advance_external(&mut self, entry_ref: &str, percent: u8) -> bool {
        let Some(at) = self.at(entry_ref) else {
            return false;
        };
        let slot = &mut self.slots[at];
        matches!(slot.phase, Phase::External(_)) && slot.advance(percent.min(99))
    }

    /// The client says that a file is all there, elsewhere: gives what is to be verified.
    pub(in crate::upload) fn verify(&mut self, entry_ref: &str) -> Option<(UploadEntry, D)> {
        let at = self.at(entry_ref)?;
        let slot = &mut self.slots[at];
        match std::mem::replace(&mut slot.phase, Phase::Verifying) {
            Phase::External(destination) => Some((slot.entry.clone(), destination)),
            phase => {
                slot.phase = phase;
                None
            }
        }
    }

    /// The client gives up a file that it sends elsewhere.
    pub(in crate::upload) fn give_up(&mut self, entry_ref: &str) -> bool {
        let Some(at) = self.at(entry_ref) else {
            return false;
        };
        let slot = &mut self.slots[at];
        let external = matches!(slot.phase, Phase::External(_));
        if external {
            slot.phase = Phase::Failed;
            slot.error.get_or_insert("external_client_failure".into());
        }
        external
    }
}
