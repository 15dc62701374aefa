//! Whether another node has this one's name.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::telemetry;

/// How long a clash is remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// When another node of this one's name was heard last.
#[derive(Default)]
pub(super) struct Namesake(Mutex<Option<Instant>>);

impl Namesake {
    /// It was heard: the log has it once, until it has not been heard for long.
    pub(super) fn hear(&self, node: &str) {
        let before = self.0.lock().replace(Instant::now());
        if before.is_none_or(|last| last.elapsed() > MEMORY) {
            telemetry::namesake(node);
        }
    }

    /// How long ago it was heard, unless that is long ago.
    pub(super) fn heard(&self) -> Option<Duration> {
        let ago = self.0.lock().as_ref().map(Instant::elapsed)?;
        (ago <= MEMORY).then_some(ago)
    }
}
