//! What is logged and counted of requests for sessions of other nodes.

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
