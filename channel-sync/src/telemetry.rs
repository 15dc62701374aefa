//! Records metrics through the [`metrics`] facade.

use metrics::Unit;
use std::time::Duration;

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Describes all metrics of this crate to the recorder, with their units: once, after it was installed.
///
/// | metric | |
/// |---|---|
/// | `sync_shapes` | shapes that there are |
/// | `sync_log_bytes` | bytes of their logs |
/// | `sync_requests_waiting` | requests that wait for changes, streams of events among them |
/// | `sync_shapes_made_total` | snapshots that were taken, by `outcome`: `ok`, `altered`, `error` |
/// | `sync_snapshot_seconds` | time that one takes |
/// | `sync_shapes_ended_total` | shapes whose handles ended |
/// | `sync_transactions_total` | transactions that reached the logs |
/// | `sync_source_connected` | whether the source's changes are read: 1 or 0 |
/// | `sync_source_cuts_total` | how often its stream was cut |
///
/// ```
/// // let handle = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
/// channel_sync::describe_metrics();
/// ```
pub fn describe_metrics() {
    for (name, kind, unit, text) in METRICS {
        match kind {
            Counter => metrics::describe_counter!(*name, *unit, *text),
            Gauge => metrics::describe_gauge!(*name, *unit, *text),
            Histogram => metrics::describe_histogram!(*name, *unit, *text),
        }
    }
}

#[rustfmt::skip]
const METRICS: &[(&str, Kind, Unit, &str)] = &[
    ("sync_shapes", Gauge, Unit::Count, "Shapes that there are"),
    ("sync_log_bytes", Gauge, Unit::Bytes, "Bytes of their logs"),
    ("sync_requests_waiting", Gauge, Unit::Count, "Requests that wait for changes, streams of events among them"),
    ("sync_shapes_made_total", Counter, Unit::Count, "Snapshots that were taken, by `outcome`: `ok`, `altered`, `error`"),
    ("sync_snapshot_seconds", Histogram, Unit::Seconds, "Time that a snapshot takes"),
    ("sync_shapes_ended_total", Counter, Unit::Count, "Shapes whose handles ended"),
    ("sync_transactions_total", Counter, Unit::Count, "Transactions that reached the logs"),
    ("sync_source_connected", Gauge, Unit::Count, "Whether the source's changes are read: 1 or 0"),
    ("sync_source_cuts_total", Counter, Unit::Count, "How often the source's stream was cut"),
];

/// The shapes' number and bytes are these by now.
pub(crate) fn holds(shapes: usize, bytes: usize) {
    metrics::gauge!("sync_shapes").set(shapes as f64);
    metrics::gauge!("sync_log_bytes").set(bytes as f64);
}

pub(crate) fn waits() {
    metrics::gauge!("sync_requests_waiting").increment(1.0);
}

pub(crate) fn waits_no_longer() {
    metrics::gauge!("sync_requests_waiting").decrement(1.0);
}

pub(crate) fn made(outcome: &'static str, took: Duration) {
    metrics::counter!("sync_shapes_made_total", "outcome" => outcome).increment(1);
    metrics::histogram!("sync_snapshot_seconds").record(took.as_secs_f64());
}

pub(crate) fn ended() {
    metrics::counter!("sync_shapes_ended_total").increment(1);
}

pub(crate) fn applied() {
    metrics::counter!("sync_transactions_total").increment(1);
}

pub(crate) fn connected(is: bool) {
    metrics::gauge!("sync_source_connected").set(f64::from(u8::from(is)));
}

#[cfg(feature = "postgres")]
pub(crate) fn cut() {
    metrics::counter!("sync_source_cuts_total").increment(1);
}
