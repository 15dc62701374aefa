//! Logs and metrics of the server itself: connections, accepts, and clients that time out.

use crate::telemetry::shown;
use std::{
    io,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// The interval in which a recurring message is logged at most once.
const QUIET: Duration = Duration::from_secs(10);

/// A log line for an event that may occur a thousand times a second, written once per [`QUIET`].
struct Seldom {
    said: Option<Instant>,
    unsaid: u64,
    /// True if it has occurred since the last success.
    bad: bool,
}

impl Seldom {
    const fn new() -> Self {
        Seldom {
            said: None,
            unsaid: 0,
            bad: false,
        }
    }

    /// Records an occurrence; returns the count since the last line if it is time to log again.
    fn happens(&mut self, now: Instant) -> Option<u64> {
        self.bad = true;
        self.unsaid += 1;
        let quiet = |said| now.saturating_duration_since(said) < QUIET;
        if self.said.is_some_and(quiet) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// Shared by the process, as its files are.
static NOT_ACCEPTED: Mutex<Seldom> = Mutex::new(Seldom::new());
static FULL: Mutex<Seldom> = Mutex::new(Seldom::new());

pub(crate) fn opened() {
    metrics::gauge!("channel_http_connections").increment(1.0);
}

pub(crate) fn closed() {
    metrics::gauge!("channel_http_connections").decrement(1.0);
}

/// Records that all permits for connections are taken.
pub(crate) fn full() {
    metrics::counter!("channel_http_full_total").increment(1);
    if let Some(times) = FULL.lock().happens(Instant::now()) {
        tracing::warn!(
            times,
            "clients wait to be accepted: there are as many connections as `max_connections` of \
             `ServeOptions` allows"
        );
    }
}

pub(crate) fn not_accepted(error: &io::Error) {
    metrics::counter!("channel_accept_errors_total").increment(1);
    if let Some(times) = NOT_ACCEPTED.lock().happens(Instant::now()) {
        tracing::error!(error = %shown(&error), times, "no client can be accepted; it is tried again");
    }
}

pub(crate) fn client_was_gone(error: &io::Error) {
    metrics::counter!("channel_accept_errors_total").increment(1);
    tracing::debug!(error = %shown(&error), "a client was gone before it was accepted");
}

/// Records an accepted client, perhaps after failures.
pub(crate) fn accepted() {
    let mut failures = NOT_ACCEPTED.lock();
    if std::mem::take(&mut failures.bad) {
        let unsaid = std::mem::take(&mut failures.unsaid);
        tracing::debug!(unsaid, "clients are accepted again");
    }
}

/// Records that a client exceeded a time limit, which ends its connection.
pub(crate) fn late(limit: &'static str) {
    metrics::counter!("channel_http_timeouts_total", "limit" => limit).increment(1);
    tracing::debug!(limit, "a client is late: its connection ends");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_all_the_time_is_said_now_and_then_with_its_count() {
        let (mut line, start) = (Seldom::new(), Instant::now());
        assert_eq!(line.happens(start), Some(1));
        let said = (1..=1000).filter_map(|_| line.happens(start + QUIET / 2));
        assert_eq!(said.count(), 0);
        assert_eq!(line.happens(start + QUIET), Some(1001));
    }
}
