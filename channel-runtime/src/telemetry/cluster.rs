//! What is said of other nodes.

use crate::pubsub::{Garbage, PublishError};

/// A broadcast went to the other nodes, or may not have.
pub(crate) fn published(error: Option<&PublishError>) {
    match error {
        None => metrics::counter!("channel_pubsub_published_total").increment(1),
        Some(error) => {
            let reason = error.label();
            metrics::counter!("channel_pubsub_lost_total", "reason" => reason).increment(1);
            tracing::debug!(%error, "a broadcast may not have reached the other nodes");
        }
    }
}

/// A broadcast came from another node.
pub(crate) fn received() {
    metrics::counter!("channel_pubsub_received_total").increment(1);
}

/// Something came that is no message: the first is a warning, and then each that doubles the
/// count, so that nobody fills the log from outside.
pub(crate) fn garbage(error: &Garbage, count: u64) {
    metrics::counter!("channel_pubsub_garbage_total").increment(1);
    if count.is_power_of_two() {
        tracing::warn!(%error, count, "somebody publishes garbage under this application's names");
    }
}
