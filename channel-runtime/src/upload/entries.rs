//! The files of one upload: admission and progress. No I/O.

mod external;
#[cfg(test)]
mod properties;
mod state;
mod states;
mod taking;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde_json::{Value, json};
use uuid::Uuid;

pub(super) use self::state::RemovedEntry;
use self::{
    state::{EntryState, Phase, percent},
    states::EntryStates,
};
use super::{UploadEntry, UploadSpec, end::End, selection::ClientEntry};

/// The number of files beyond the limit that are remembered, to report each to the page.
pub(super) const SPARE: usize = 64;

/// The files of one upload. `D` is the destination that a file will have, `W` the writer that it
/// has, and `L` the handle of the channel that receives it.
pub(super) struct Entries<D, W, L> {
    spec: &'static UploadSpec,
    upload_ref: String,
    slots: EntryStates<D, W, L>,
    /// The files that have ended with an error which the page has not been told yet.
    ended: Vec<(String, Value)>,
    /// The hash of the state that the page was shown last.
    shown: Option<u64>,
    consumed: usize,
    /// True if more files were chosen than are remembered.
    overflow: bool,
    /// True once the channel has ended: files are no longer handed over.
    over: bool,
}

/// The state with which the channel of an upload begins.
#[derive(Debug)]
pub(super) struct Begun<D> {
    pub(super) destination: D,
    pub(super) entry: UploadEntry,
}

/// The reason why an upload does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotBegun {
    AlreadyRegistered,
    Disallowed,
}

/// The reason why a file cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Unknown,
    NotDone,
}

/// The outcome for a file whose channel is over.
pub(super) enum Left<W> {
    /// A handler has it, or is about to get it: the channel that takes uploads decides, or its end.
    ToHandler,
    /// Its client may come back for it.
    ToClient(W),
    /// Nothing is left to come back for.
    Gone,
}

impl<D, W, L> Entries<D, W, L> {
    pub(super) fn new(spec: &'static UploadSpec) -> Self {
        Entries {
            spec,
            upload_ref: format!("phx-{}", Uuid::new_v4().simple()),
            slots: EntryStates::new(),
            ended: Vec::new(),
            shown: None,
            consumed: 0,
            overflow: false,
            over: false,
        }
    }

    pub(super) fn spec(&self) -> &'static UploadSpec {
        self.spec
    }

    pub(super) fn upload_ref(&self) -> &str {
        &self.upload_ref
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &UploadEntry> {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// Records the files that a client has chosen and not named before. Returns those that a
    /// validator may still refuse, and the file that was replaced, with its channel.
    pub(super) fn select(
        &mut self,
        chosen: Vec<ClientEntry>,
    ) -> (Vec<UploadEntry>, Option<RemovedEntry<L>>) {
        let (mut valid, mut replaced) = (Vec::new(), None);
        self.overflow = false;
        let most = self.spec.max_entries as usize + SPARE;
        let mut new: Vec<ClientEntry> = Vec::new();
        let mut refs = HashSet::new();
        for said in chosen {
            if self.slots.has(&said.entry_ref) || refs.contains(&said.entry_ref) {
                continue;
            }
            // Bounds the number of files that are compared with each other.
            if self.slots.len() + new.len() >= most {
                self.overflow = true;
                break;
            }
            refs.insert(said.entry_ref.clone());
            new.push(said);
        }
        if self.spec.max_entries == 1 && self.slots.len() == 1 && new.len() == 1 {
            let old = self.slots.iter().next().map(|slot| slot.entry.uuid());
            replaced = old.and_then(|old| self.remove(old, &End::Replaced));
        }
        for said in new {
            let size = said.size;
            let mut entry = UploadEntry::new(self.spec.name, Arc::new(said), 0);
            let error = if size > self.spec.max_file_size {
                Some("too_large")
            } else if !self.spec.accept.takes(&entry) {
                Some("not_accepted")
            } else {
                valid.push(entry.clone());
                None
            };
            if let Some(error) = error {
                entry.set_error(error.into());
            }
            self.slots.push(EntryState {
                entry,
                phase: Phase::ClientEntry,
                preflighted: false,
                told: true,
                shown: 0,
                due: false,
            });
        }
        (valid, replaced)
    }

    fn consumed(&self) -> usize {
        if self.spec.counts_consumed {
            self.consumed
        } else {
            0
        }
    }

    fn has_too_many(&self) -> bool {
        self.overflow || self.slots.len() + self.consumed() > self.spec.max_entries as usize
    }

    /// Refuses a file. The first error of a file stays.
    pub(super) fn refuse(&mut self, uuid: Uuid, reason: Value) {
        if let Some(slot) = self.slots.get_mut(uuid) {
            slot.entry.set_error(reason);
        }
    }

    /// Returns all errors, each with the ref that it is about.
    pub(super) fn errors(&self) -> Vec<(&str, Value)> {
        let each = self.slots.iter();
        let each = each.filter_map(|slot| {
            let error = slot.entry.error()?;
            Some((slot.entry.entry_ref(), error.clone()))
        });
        let many = self
            .has_too_many()
            .then(|| (&*self.upload_ref, Value::from("too_many_files")));
        many.into_iter().chain(each).collect()
    }

    /// Returns true if the selection cannot be sent as it is. A file that fails during its upload
    /// does not hold up the others.
    pub(super) fn is_rejected(&self) -> bool {
        let mut slots = self.slots.iter();
        self.has_too_many() || slots.any(|slot| slot.entry.error().is_some() && !slot.preflighted)
    }

    /// Returns the files of `refs` that may now be given a destination, and those that may not,
    /// with their errors. A file is asked for once.
    pub(super) fn preflight(
        &mut self,
        refs: &[String],
    ) -> (Vec<UploadEntry>, Vec<(String, Value)>) {
        let (mut valid, mut invalid) = (Vec::new(), Vec::new());
        let places = (self.spec.max_entries as usize).saturating_sub(self.consumed());
        let refs: HashSet<&str> = refs.iter().map(String::as_str).collect();
        for slot in self.slots.iter_mut().take(places) {
            if !refs.contains(slot.entry.entry_ref()) || slot.preflighted {
                continue;
            }
            slot.preflighted = true;
            match slot.entry.error() {
                None => valid.push(slot.entry.clone()),
                Some(error) => {
                    invalid.push((slot.entry.entry_ref().to_owned(), error.clone()));
                }
            }
        }
        (valid, invalid)
    }

    /// Takes back a preflight whose answer the client does not get: files without an error can be
    /// asked for once more.
    pub(super) fn retract(&mut self, uuids: &[Uuid]) {
        for uuid in uuids {
            if let Some(slot) = self.slots.get_mut(*uuid)
                && slot.entry.error().is_none()
            {
                slot.phase = Phase::ClientEntry;
                slot.preflighted = false;
            }
        }
    }

    /// Allows the client to send the file. Returns the destination if the file is gone by now.
    pub(super) fn allow(&mut self, uuid: Uuid, destination: D, external: bool) -> Option<D> {
        match self.slots.get_mut(uuid) {
            Some(slot)
                if matches!(slot.phase, Phase::ClientEntry) && slot.entry.error().is_none() =>
            {
                slot.phase = match external {
                    true => Phase::External(destination),
                    false => Phase::Allowed(destination),
                };
                None
            }
            _ => Some(destination),
        }
    }

    /// Begins the upload of a file.
    pub(super) fn begin(&mut self, uuid: Uuid, link: L) -> Result<Begun<D>, NotBegun> {
        let slot = self.slots.get_mut(uuid).ok_or(NotBegun::Disallowed)?;
        match std::mem::replace(&mut slot.phase, Phase::Running(link)) {
            Phase::Allowed(destination) => Ok(Begun {
                destination,
                entry: slot.entry.clone(),
            }),
            phase => {
                slot.phase = phase;
                match slot.phase {
                    Phase::Running(_) | Phase::Done(..) | Phase::Taken(_) => {
                        Err(NotBegun::AlreadyRegistered)
                    }
                    _ => Err(NotBegun::Disallowed),
                }
            }
        }
    }

    /// Records the number of bytes written. Returns true if a handler needs a notice.
    pub(super) fn advance(&mut self, uuid: Uuid, received: u64) -> bool {
        let Some(slot) = self.slots.get_mut(uuid) else {
            return false;
        };
        let percent = percent(received, slot.entry.client_size());
        matches!(slot.phase, Phase::Running(_)) && slot.advance(percent)
    }

    /// Completes a file: all bytes are written and the writer is closed. Returns the writer if the
    /// file is gone by now.
    pub(super) fn finish(&mut self, uuid: Uuid, writer: W) -> Result<(), W> {
        let due = !self.spec.by_hand && !self.over;
        let Some(slot) = self.slots.get_mut(uuid) else {
            return Err(writer);
        };
        match std::mem::replace(&mut slot.phase, Phase::Failed) {
            Phase::Running(link) => slot.phase = Phase::Done(writer, Some(link)),
            Phase::Verifying => slot.phase = Phase::Done(writer, None),
            phase => {
                slot.phase = phase;
                return Err(writer);
            }
        }
        slot.due = due;
        slot.advance(100);
        Ok(())
    }

    /// Fails a file: it stays with an error, and its channel must end. Returns `None` if there is
    /// no such file, or if it has failed before.
    pub(super) fn fail(&mut self, uuid: Uuid, end: &End<'_>) -> Option<RemovedEntry<L>> {
        let slot = self.slots.get_mut(uuid)?;
        if matches!(slot.phase, Phase::Failed) {
            return None;
        }
        slot.entry.set_error(end.reason());
        Some(RemovedEntry {
            uuid,
            link: std::mem::replace(&mut slot.phase, Phase::Failed).into_link(),
            ended: Some(slot.entry.clone()),
        })
    }

    /// Removes a file whose channel has ended before the file was complete, with an error unless
    /// the client resumes it elsewhere.
    pub(super) fn drop_running(
        &mut self,
        uuid: Uuid,
        end: Option<&End<'_>>,
    ) -> Option<RemovedEntry<L>> {
        let slot = self.slots.get(uuid)?;
        if !matches!(slot.phase, Phase::Running(_)) {
            return None;
        }
        match end {
            Some(end) => self.remove(uuid, end),
            None => self.slots.remove(uuid).map(EntryState::into_gone),
        }
    }

    /// Removes a file, whatever its state. The page is told why if the file was under way.
    pub(super) fn remove(&mut self, uuid: Uuid, end: &End<'_>) -> Option<RemovedEntry<L>> {
        let mut slot = self.slots.remove(uuid)?;
        let is_end = slot.is_under_way() && slot.entry.set_error(end.reason());
        let ended = is_end.then(|| slot.entry.clone());
        if let Some(entry) = &ended {
            self.note_end(entry);
        }
        Some(RemovedEntry {
            ended,
            ..slot.into_gone()
        })
    }

    /// Records the end of a file that is no longer listed, to tell the page.
    pub(super) fn note_end(&mut self, entry: &UploadEntry) {
        if let (Some(error), false) = (entry.error(), self.over) {
            let entry_ref = entry.entry_ref().to_owned();
            self.ended.push((entry_ref, error.clone()));
        }
    }

    /// Returns the uuid of the file with this ref.
    pub(super) fn uuid(&mut self, entry_ref: &str) -> Option<Uuid> {
        self.slots.named(entry_ref).map(|slot| slot.entry.uuid())
    }

    pub(super) fn entry(&self, uuid: Uuid) -> Option<&UploadEntry> {
        self.slots.get(uuid).map(|slot| &slot.entry)
    }

    /// Notes that a handler has been told of a file's progress, and returns the entry.
    pub(super) fn told(&mut self, entry_ref: &str) -> Option<UploadEntry> {
        let slot = self.slots.named(entry_ref)?;
        slot.told = true;
        // The end of a file has a notice of its own.
        let has_ended = matches!(slot.phase, Phase::Failed);
        (!has_ended).then(|| slot.entry.clone())
    }

    /// Forgets all files but those that `stay`, and returns the channels of the rest.
    pub(super) fn end(&mut self, stay: impl Fn(&L) -> bool) -> Vec<L> {
        let (kept, over): (Vec<_>, Vec<_>) = self
            .slots
            .take()
            .into_iter()
            .partition(|slot| slot.link().is_some_and(&stay));
        for mut slot in kept {
            slot.due = false;
            self.slots.push(slot);
        }
        self.over = true;
        over.into_iter().filter_map(EntryState::into_link).collect()
    }

    /// Returns true if a file has more progress than the page was shown.
    pub(super) fn is_stale(&self) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| slot.shown != slot.entry.progress())
    }

    /// Returns true if the page was shown another state than this one, and records this one as
    /// shown.
    pub(super) fn is_news(&mut self, state: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let hash = Some(hasher.finish());
        std::mem::replace(&mut self.shown, hash) != hash
    }

    /// Returns the state for the page. Files that have ended with an error appear in it once.
    pub(super) fn state(&mut self) -> Value {
        let entries: Vec<_> = self.slots.iter_mut().map(EntryState::show).collect();
        let ended = std::mem::take(&mut self.ended);
        let refs = |keep: fn(&EntryState<D, W, L>) -> bool| {
            let kept = self.slots.iter().filter(|slot| keep(slot));
            kept.map(|slot| slot.entry.entry_ref()).collect::<Vec<_>>()
        };
        let ended = ended.iter().map(|(about, why)| (&**about, why.clone()));
        let errors: Vec<_> = self.errors().into_iter().chain(ended).collect();
        let error_refs: Vec<_> = errors.iter().map(|(about, _)| *about).collect();
        let spec = self.spec;
        json!({
            "name": spec.name,
            "ref": self.upload_ref,
            "accept": spec.accept.attribute(),
            "auto_upload": spec.auto_upload,
            "max_entries": spec.max_entries,
            "max_file_size": spec.max_file_size,
            "chunk_size": spec.chunk_size,
            "chunk_timeout": spec.chunk_timeout_ms,
            "active_refs": refs(|_| true),
            "preflighted_refs": refs(|slot| slot.preflighted),
            "done_refs": refs(EntryState::is_done),
            "error_refs": error_refs,
            "entries": entries,
            "errors": errors,
        })
    }
}
