//! Logs and metrics of requests for sessions of other nodes.

use crate::telemetry::line;

/// Records the outcome of a request for a long-poll session of another node.
pub(crate) fn forwarded(kind: &'static str, outcome: &'static str) {
    let labels = [("kind", kind), ("outcome", outcome)];
    metrics::counter!("channel_longpoll_forwarded_total", &labels).increment(1);
}

/// Warns that tokens of one node are invalid on the others.
pub(crate) fn no_secret() {
    tracing::warn!(
        "without a secret_key that all nodes share, a long-poll client loses its session whenever \
         a request of it reaches another node"
    );
}

/// Records an unknown session token. Warns at the first, and then whenever the count has doubled.
pub(crate) fn unknown_token(count: u64) {
    if count.is_power_of_two() {
        tracing::warn!(
            count,
            "a long-poll client has a token that none of this node's secret keys opens: the node \
             that made it has other secret keys, or an earlier process of it, or it is forged; the \
             client gets 410"
        );
    }
}

/// Records that a node does not answer a request for one of its sessions; logged as above.
pub(crate) fn silent(node: &str, count: u64) {
    if count.is_power_of_two() {
        tracing::warn!(
            node = &*line(node),
            count,
            "a node does not answer for its long-poll sessions: it is gone, or it has other secret \
             keys or another version; its clients get 410"
        );
    }
}
