//! What is logged and counted of requests for sessions of other nodes.

use crate::telemetry::line;

/// A request for a long-poll session of another node has its answer.
pub(crate) fn forwarded(kind: &'static str, outcome: &'static str) {
    let labels = [("kind", kind), ("outcome", outcome)];
    metrics::counter!("channel_longpoll_forwarded_total", &labels).increment(1);
}

/// Tokens of one node are worth nothing to the others.
pub(crate) fn no_secret() {
    tracing::warn!(
        "without a secret_key that all nodes share, a long-poll client loses its session whenever \
         a request of it reaches another node"
    );
}

/// A client brings a session's token that is none here: the first is a warning, and then each that
/// doubles the count.
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

/// A node says nothing when it is asked for a session of its own: logged as above.
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
