//! The descriptions of the metrics, for recorders.

use metrics::Unit;

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Describes all metrics to the recorder, with their units. Call it once, after the recorder is
/// installed.
///
/// ```
/// // let handle = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
/// channel_runtime::telemetry::describe_metrics();
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

/// The metrics, which `docs/metrics.md` shows as a table.
#[rustfmt::skip]
const METRICS: &[(&str, Kind, Unit, &str)] = &[
    ("channel_connections", Gauge, Unit::Count, "Connections that are open"),
    ("channel_channels", Gauge, Unit::Count, "Joined channels"),
    ("channel_topics", Gauge, Unit::Count, "Topics with a subscriber on this node"),
    ("channel_connects_total", Counter, Unit::Count, "Connects, by `outcome`: `ok`, `refused`"),
    ("channel_connect_seconds", Histogram, Unit::Seconds, "Time that a connect takes"),
    ("channel_disconnects_total", Counter, Unit::Count, "Connections that have ended, by `reason`: `client` (it went), `disconnect` (`Endpoint::disconnect`), `draining`, `timeout`, `slow_consumer`, `half_received`, `too_large`, `unreadable`, `crashed`, `other`"),
    ("channel_joins_total", Counter, Unit::Count, "Joins, by `outcome`: `ok`, `error`, `unmatched`"),
    ("channel_join_seconds", Histogram, Unit::Seconds, "Time that a join takes"),
    ("channel_messages_total", Counter, Unit::Count, "Messages of clients that were handled or refused by their channel"),
    ("channel_handle_in_seconds", Histogram, Unit::Seconds, "Time that a message takes, its gates included"),
    ("channel_rate_limited_total", Counter, Unit::Count, "Messages refused by a `rate_limit`, by the event that it counts, `*` for all of the channel"),
    ("channel_requests_total", Counter, Unit::Count, "Requests to clients, by `outcome`: `ok`, `timeout`, `busy`, `not_joined`, `left`, `closed`, `ended`, `invalid`, `encode`"),
    ("channel_request_seconds", Histogram, Unit::Seconds, "Time that a request to a client takes"),
    ("channel_panics_total", Counter, Unit::Count, "Panics of channels"),
    ("channel_messages_dropped_total", Counter, Unit::Count, "Messages of the server's own code that found a channel's queue full"),
    ("channel_messages_refused_total", Counter, Unit::Count, "Messages of clients that waited for room too long"),
    ("channel_reads_paused_total", Counter, Unit::Count, "How often a client was read no further, since too much of it waited"),
    ("channel_slow_consumer_total", Counter, Unit::Count, "Frames that found no room, by what was full: `outbox`, `endpoint`, or `mailbox` where a channel does not take what it intercepts"),
    ("channel_half_received_dropped_total", Counter, Unit::Count, "Connections that ended since too much was half received"),
    ("channel_http_connections", Gauge, Unit::Count, "Connections of `Endpoint::serve`, WebSockets included"),
    ("channel_http_full_total", Counter, Unit::Count, "How often all places of `Endpoint::serve` were taken"),
    ("channel_http_timeouts_total", Counter, Unit::Count, "Connections ended since their clients did nothing, by `limit`: `request` (none has come), `head`, `body`, `write`, `idle`"),
    ("channel_accept_errors_total", Counter, Unit::Count, "Connections that the operating system could not accept"),
    ("channel_longpoll_forwarded_total", Counter, Unit::Count, "Long-poll requests for sessions of other nodes, by `kind` (`poll`, `publish`) and `outcome` (`answered`, `gone`, `unreachable`)"),
    ("channel_pubsub_up", Gauge, Unit::Count, "Whether the engine between the nodes is reachable: 1 or 0"),
    ("channel_pubsub_published_total", Counter, Unit::Count, "Broadcasts that other nodes were sent"),
    ("channel_pubsub_received_total", Counter, Unit::Count, "Broadcasts that came from other nodes"),
    ("channel_pubsub_lost_total", Counter, Unit::Count, "Broadcasts that other nodes may not have got, by `reason`"),
    ("channel_pubsub_garbage_total", Counter, Unit::Count, "Messages of the engine that no node of this application has sent"),
    ("channel_pubsub_disconnects_total", Counter, Unit::Count, "How often the connection to the engine ended"),
    ("channel_pubsub_namesakes_total", Counter, Unit::Count, "Messages of another node that has this one's name"),
    ("channel_pubsub_down_seconds", Histogram, Unit::Seconds, "Time that the engine was out of reach"),
    ("channel_pubsub_lag_seconds", Histogram, Unit::Seconds, "Time between a beat of this node and its arrival through the engine"),
    ("channel_upload_bytes_total", Counter, Unit::Bytes, "Bytes of uploads whose writer is in a `Count`"),
    ("channel_upload_files_total", Counter, Unit::Count, "Files of uploads whose writer is in a `Count`, by `outcome`: `started` first, then `done`, `cancelled` or `failed`"),
];
