//! Watches files.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use thiserror::Error as ThisError;
use tokio::sync::broadcast;

/// The error when a file cannot be watched.
#[derive(Debug, ThisError)]
#[error("cannot watch {}", path.display())]
pub struct WatchError {
    path: PathBuf,
    source: notify::Error,
}

/// Reports changes as long as it lives.
#[derive(Clone)]
pub(super) struct Watch {
    changed: broadcast::Sender<()>,
    watchers: Arc<Mutex<Vec<RecommendedWatcher>>>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            changed: broadcast::Sender::new(1),
            watchers: Arc::default(),
        }
    }
}

impl Watch {
    pub(super) fn add(&self, path: &Path) -> Result<(), WatchError> {
        let changed = self.changed.clone();
        let tell = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                let _nobody_listens = changed.send(());
            }
        };
        let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
            watcher.watch(path, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        let watcher = watcher.map_err(|source| WatchError {
            path: path.to_owned(),
            source,
        })?;
        self.watchers.lock().push(watcher);
        Ok(())
    }

    /// Returns a receiver of the changes from now on.
    pub(super) fn changes(&self) -> broadcast::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Returns true for a change; reading a file, as the server itself does, is not one.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(_))
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
