//! The entries stay in bounds, and no file is lost or given out twice, in whatever order clients,
//! writers and handlers act.

use std::collections::HashSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::upload::{Accept, selection::ClientEntry};

const SPEC: UploadSpec = UploadSpec::new("photos", Accept::Only(&[".jpg"]))
    .max_entries(3)
    .max_file_size(100);

/// The events of a run, each for the file at a position among all files of the run.
#[derive(Clone, Debug)]
enum Happening {
    Select {
        entry_ref: u8,
        size: u64,
        accepted: bool,
    },
    Preflight(u8),
    Begin(usize),
    Advance(usize, u64),
    Finish(usize),
    Fail(usize),
    Drop(usize),
    Remove(u8),
    Take(u8),
    Postpone(usize),
    Consume(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    let entry_ref = 0..8_u8;
    let file = 0..12_usize;
    prop_oneof![
        (entry_ref.clone(), 0..130_u64, any::<bool>()).prop_map(|(entry_ref, size, accepted)| {
            Happening::Select {
                entry_ref,
                size,
                accepted,
            }
        }),
        entry_ref.clone().prop_map(Happening::Preflight),
        file.clone().prop_map(Happening::Begin),
        (file.clone(), 0..130_u64).prop_map(|(file, bytes)| Happening::Advance(file, bytes)),
        file.clone().prop_map(Happening::Finish),
        file.clone().prop_map(Happening::Fail),
        file.clone().prop_map(Happening::Drop),
        entry_ref.clone().prop_map(Happening::Remove),
        entry_ref.prop_map(Happening::Take),
        file.clone().prop_map(Happening::Postpone),
        file.prop_map(Happening::Consume),
    ]
}

/// The model: a file's destination, its writer and its channel are all its own id.
#[derive(Default)]
struct Model {
    files: Vec<Uuid>,
    /// The files that are allowed and have not begun.
    allowed: HashSet<Uuid>,
    running: HashSet<Uuid>,
    done: HashSet<Uuid>,
    taken: HashSet<Uuid>,
}

impl Model {
    fn file(&self, at: usize) -> Uuid {
        self.files.get(at).copied().unwrap_or(Uuid::nil())
    }

    fn forget(&mut self, uuid: Uuid) {
        for set in [
            &mut self.allowed,
            &mut self.running,
            &mut self.done,
            &mut self.taken,
        ] {
            set.remove(&uuid);
        }
    }
}

fn happen(
    entries: &mut Entries<Uuid, Uuid, Uuid>,
    model: &mut Model,
    what: Happening,
) -> Result<(), TestCaseError> {
    match what {
        Happening::Select {
            entry_ref,
            size,
            accepted,
        } => {
            let name = if accepted { "a.jpg" } else { "a.exe" };
            let mut said = ClientEntry::new(name, size, "");
            said.entry_ref = entry_ref.to_string();
            let known = entries
                .entries()
                .any(|entry| entry.entry_ref() == said.entry_ref);
            let (valid, _) = entries.select(vec![said]);
            prop_assert_eq!(!valid.is_empty(), !known && accepted && size <= 100);
            model.files.extend(valid.iter().map(UploadEntry::uuid));
        }
        Happening::Preflight(entry_ref) => {
            let (valid, _) = entries.preflight(&[entry_ref.to_string()]);
            for entry in valid {
                prop_assert!(entries.allow(entry.uuid(), entry.uuid(), false).is_none());
                prop_assert!(model.allowed.insert(entry.uuid()), "it is allowed once");
            }
        }
        Happening::Begin(at) => {
            let uuid = model.file(at);
            match entries.begin(uuid, uuid) {
                Ok(begun) => {
                    prop_assert_eq!(begun.destination, uuid);
                    prop_assert!(model.allowed.remove(&uuid), "only what is allowed begins");
                    model.running.insert(uuid);
                }
                Err(why) => {
                    let live = [&model.running, &model.done, &model.taken];
                    let live = live.iter().any(|set| set.contains(&uuid));
                    prop_assert_eq!(why == NotBegun::AlreadyRegistered, live);
                    prop_assert!(!model.allowed.contains(&uuid));
                }
            }
        }
        Happening::Advance(at, bytes) => {
            entries.advance(model.file(at), bytes);
        }
        Happening::Finish(at) => {
            let uuid = model.file(at);
            let finished = entries.finish(uuid, uuid).is_ok();
            prop_assert_eq!(
                finished,
                model.running.remove(&uuid),
                "only what runs is finished"
            );
            if finished {
                model.done.insert(uuid);
            }
        }
        Happening::Fail(at) => {
            let uuid = model.file(at);
            let stopped = entries
                .fail(uuid, &End::Cancelled)
                .and_then(|gone| gone.link);
            let live = [&model.running, &model.done, &model.taken];
            prop_assert_eq!(
                stopped.is_some(),
                live.iter().any(|set| set.contains(&uuid))
            );
            model.forget(uuid);
        }
        Happening::Drop(at) => {
            let uuid = model.file(at);
            let gone = entries.drop_running(uuid, Some(&End::ChunkTimeout));
            prop_assert_eq!(gone.is_some(), model.running.remove(&uuid));
        }
        Happening::Remove(entry_ref) => {
            let entry_ref = entry_ref.to_string();
            let found = entries
                .entries()
                .find(|entry| entry.entry_ref() == entry_ref);
            let uuid = found.map(UploadEntry::uuid);
            let gone = uuid.and_then(|uuid| entries.remove(uuid, &End::Cancelled));
            prop_assert_eq!(gone.is_some(), uuid.is_some());
            model.forget(uuid.unwrap_or(Uuid::nil()));
        }
        Happening::Take(entry_ref) => {
            if let Ok((entry, writer)) = entries.take(&entry_ref.to_string()) {
                prop_assert_eq!(writer, entry.uuid());
                prop_assert!(model.done.remove(&writer), "only what is done is taken");
                model.taken.insert(writer);
            }
        }
        Happening::Postpone(at) => {
            let uuid = model.file(at);
            entries.postpone(uuid, uuid);
            if model.taken.remove(&uuid) {
                model.done.insert(uuid);
            }
        }
        Happening::Consume(at) => {
            let uuid = model.file(at);
            prop_assert_eq!(entries.consume(uuid), model.taken.take(&uuid));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn files_are_neither_lost_nor_given_twice(
        happenings in proptest::collection::vec(happening(), 0..80),
    ) {
        let mut entries = Entries::new(&SPEC);
        let mut model = Model::default();
        for what in happenings {
            happen(&mut entries, &mut model, what)?;
            let count = entries.entries().count();
            prop_assert!(count <= SPEC.max_entries as usize + SPARE);
            let refs: HashSet<_> = entries.entries().map(|entry| entry.entry_ref()).collect();
            prop_assert_eq!(refs.len(), count, "a ref names one file");
            prop_assert_eq!(entries.finished().len(), model.done.len());
            prop_assert!(entries.entries().all(|entry| entry.progress() <= 100));
            let state = entries.state();
            let done = state["done_refs"].as_array().map(Vec::len);
            prop_assert_eq!(done, Some(model.done.len() + model.taken.len()));
        }
        let channels: HashSet<_> = entries.end(|_| false).into_iter().collect();
        let live: HashSet<_> = model.running.iter().chain(&model.done).chain(&model.taken).copied().collect();
        prop_assert_eq!(channels, live, "the end stops every channel");
    }
}
