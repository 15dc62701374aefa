//! Detects another node of this node's name.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::telemetry;

/// The time for which a clash is remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// The time at which another node of this name was last seen.
#[derive(Default)]
pub(super) struct Namesake(Mutex<Option<Instant>>);

impl Namesake {
    /// Records a sighting. Logs it once, and again only after a long silence.
    pub(super) fn hear(&self, node: &str) {
        let before = self.0.lock().replace(Instant::now());
        if before.is_none_or(|last| last.elapsed() > MEMORY) {
            telemetry::namesake(node);
        }
    }

    /// Returns the time since the last sighting, unless it is too long ago.
    pub(super) fn heard(&self) -> Option<Duration> {
        let ago = self.0.lock().as_ref().map(Instant::elapsed)?;
        (ago <= MEMORY).then_some(ago)
    }
}
