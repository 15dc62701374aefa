//! One file and its state.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::upload::UploadEntry;

/// One file.
pub(in crate::upload) struct EntryState<D, W, L> {
    pub(super) entry: UploadEntry,
    pub(super) phase: Phase<D, W, L>,
    pub(super) preflighted: bool,
    /// False while the channel's handler has not been told of the progress.
    pub(super) told: bool,
    /// The progress that the page was shown last.
    pub(super) shown: u8,
    /// True if it is finished and the channel's task has not handed it over yet.
    pub(super) due: bool,
}

pub(super) enum Phase<D, W, L> {
    ClientEntry,
    /// The client holds a token.
    Allowed(D),
    Running(L),
    /// The client sends it elsewhere.
    External(D),
    /// The client reports that it has sent it elsewhere.
    Verifying,
    Done(W, Option<L>),
    /// A handler has it.
    Taken(Option<L>),
    Failed,
}

impl<D, W, L> Phase<D, W, L> {
    pub(super) fn into_link(self) -> Option<L> {
        match self {
            Phase::Running(link) => Some(link),
            Phase::Done(_, link) | Phase::Taken(link) => link,
            _ => None,
        }
    }
}

/// A file that was removed, and its channel, if it had one.
pub(in crate::upload) struct RemovedEntry<L> {
    pub(in crate::upload) uuid: Uuid,
    pub(in crate::upload) link: Option<L>,
    /// The entry to tell a handler of, if the file had been allowed and was not over.
    pub(in crate::upload) ended: Option<UploadEntry>,
}

/// A finished file that a handler has, or is about to get, and whose channel is over.
pub(in crate::upload) struct Unlinked<W> {
    pub(in crate::upload) entry: UploadEntry,
    /// The file itself, if no handler has it.
    pub(in crate::upload) file: Option<W>,
}

impl<D, W, L> EntryState<D, W, L> {
    pub(super) fn into_gone(self) -> RemovedEntry<L> {
        RemovedEntry {
            uuid: self.entry.uuid(),
            link: self.phase.into_link(),
            ended: None,
        }
    }

    pub(super) fn into_link(self) -> Option<L> {
        self.phase.into_link()
    }

    pub(super) fn into_unlinked(self) -> Unlinked<W> {
        let file = match self.phase {
            Phase::Done(writer, _) => Some(writer),
            _ => None,
        };
        Unlinked {
            entry: self.entry,
            file,
        }
    }

    pub(super) fn link(&self) -> Option<&L> {
        match &self.phase {
            Phase::Running(link) => Some(link),
            Phase::Done(_, link) | Phase::Taken(link) => link.as_ref(),
            _ => None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done(..) | Phase::Taken(_))
    }

    /// Returns true if a handler has it, or is about to get it.
    pub(super) fn is_handed_over(&self) -> bool {
        self.due || matches!(self.phase, Phase::Taken(_))
    }

    /// Returns true if it was allowed and has not ended.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.phase, Phase::ClientEntry | Phase::Failed)
    }

    /// Raises the progress, which never falls. Returns true if a handler needs a notice: one at a
    /// time.
    pub(super) fn advance(&mut self, percent: u8) -> bool {
        if percent <= self.entry.progress() && percent < 100 {
            return false;
        }
        self.entry.set_progress(percent);
        std::mem::replace(&mut self.told, false)
    }

    pub(super) fn show(&mut self) -> Value {
        self.shown = self.entry.progress();
        let entry = &self.entry;
        json!({
            "ref": entry.entry_ref(),
            "uuid": entry.uuid(),
            "name": entry.client_name(),
            "size": entry.client_size(),
            "type": entry.client_type(),
            "progress": entry.progress(),
            "valid": entry.error().is_none(),
            "done": self.is_done(),
        })
    }
}

/// Returns the percentage, rounded down, so that 100 is the end.
pub(super) fn percent(received: u64, size: u64) -> u8 {
    match size {
        0 => 100,
        size => (u128::from(received.min(size)) * 100 / u128::from(size)) as u8,
    }
}
