//! Draining at shutdown: connections are closed in batches, so that the servers they reconnect to
//! are not overrun.

use std::{sync::Weak, time::Duration};

use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Endpoint;
use crate::{
    connection::{Close, Outbox},
    error::ConfigError,
};

/// The options for closing connections at a shutdown: see [`Endpoint::drain`].
///
/// Set them in code, or load them from a configuration file with serde, where times are in
/// milliseconds and the unit is in the name:
///
/// ```
/// use std::time::Duration;
/// use channel_runtime::DrainOptions;
///
/// let options = DrainOptions::default()
///     .batch_size(1_000)
///     .batch_interval(Duration::from_millis(500))
///     .deadline(Duration::from_secs(10));
/// let file = r#"{"batch_size": 1000, "batch_interval_ms": 500, "deadline_ms": 10000}"#;
/// assert_eq!(serde_json::from_str::<DrainOptions>(file)?, options);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainOptions {
    batch_size: usize,
    batch_interval_ms: u64,
    deadline_ms: u64,
}

impl Default for DrainOptions {
    fn default() -> Self {
        DrainOptions {
            batch_size: 10_000,
            batch_interval_ms: 2_000,
            deadline_ms: 30_000,
        }
    }
}

impl DrainOptions {
    /// Sets how many connections are closed at once; 10,000 by default. Mirrors `:batch_size`.
    #[must_use]
    pub fn batch_size(mut self, connections: usize) -> Self {
        self.batch_size = connections;
        self
    }

    /// Sets the time between batches; 2 seconds by default. It is shortened if the batches would
    /// take more than half of the [`deadline`](Self::deadline). Mirrors `:batch_interval`.
    #[must_use]
    pub fn batch_interval(mut self, interval: Duration) -> Self {
        self.batch_interval_ms = millis(interval);
        self
    }

    /// Sets the maximum duration of the whole drain; 30 seconds by default, as most process
    /// managers wait before they kill. Mirrors `:shutdown`.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline_ms = millis(deadline);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match (self.batch_size, self.deadline_ms) {
            (0, _) => Err(ConfigError::Zero("batch_size")),
            (_, 0) => Err(ConfigError::Zero("deadline")),
            _ => Ok(()),
        }
    }

    /// Returns the time between this many batches: the last one must start at half time, so that
    /// its channels have the other half to terminate.
    fn interval(&self, batches: usize) -> Duration {
        let waits = u64::try_from(batches.saturating_sub(1).max(1)).unwrap_or(u64::MAX);
        Duration::from_millis(self.batch_interval_ms.min(self.deadline_ms / 2 / waits))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The connections still to be closed; dropping it closes them all at once.
struct Waiting(Vec<Weak<Outbox>>);

impl Waiting {
    fn close(&mut self, most: usize) {
        let kept = self.0.len().saturating_sub(most);
        for outbox in self.0.drain(kept..).filter_map(|outbox| outbox.upgrade()) {
            outbox.close(Close::DRAINING);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.close(usize::MAX);
    }
}

impl Endpoint {
    /// Closes all connections with code 1012, so that the clients reconnect elsewhere, and waits
    /// until every channel has run its `#[terminate]` or used up its `shutdown` time. Refuses new
    /// connects with HTTP status 503 from now on.
    ///
    /// Connections are closed in batches according to the endpoint's [`DrainOptions`], the newest
    /// first; one whose turn has not come keeps working. At the deadline this returns even if
    /// channels are left.
    ///
    /// `Endpoint::serve` calls it. A custom server calls it when it is asked to stop, together with
    /// its graceful shutdown, which does not wait for WebSockets:
    ///
    /// ```no_run
    /// # use channel_runtime::Endpoint;
    /// # async fn serve(
    /// #     endpoint: Endpoint,
    /// #     listener: tokio::net::TcpListener,
    /// #     app: axum::Router,
    /// #     asked_to_stop: impl Future<Output = ()> + Send + 'static,
    /// # ) -> std::io::Result<()> {
    /// let draining = endpoint.draining();
    /// let server = axum::serve(listener, app).with_graceful_shutdown(draining);
    /// let drained = async { asked_to_stop.await; endpoint.drain().await };
    /// let (served, ()) = tokio::join!(server.into_future(), drained);
    /// served
    /// # }
    /// ```
    ///
    /// Cancel safe: the connections still close, the remaining ones at once.
    pub async fn drain(&self) {
        let options = self.extension::<DrainOptions>();
        let started = Instant::now();
        self.begin_draining();
        let mut waiting = Waiting(self.connections().newest_last());
        let batches = waiting.0.len().div_ceil(options.batch_size);
        let interval = options.interval(batches);
        tracing::info!(connections = waiting.0.len(), batches, "draining");
        let ended = async {
            for batch in 1..=batches {
                waiting.close(options.batch_size);
                tracing::debug!(batch, left = waiting.0.len(), "a batch is closed");
                if batch < batches {
                    let next = u32::try_from(batch).unwrap_or(u32::MAX);
                    sleep_until(started + interval * next).await;
                }
            }
            self.tasks().wait().await;
        };
        let deadline = started + Duration::from_millis(options.deadline_ms);
        if timeout_at(deadline, ended).await.is_err() {
            let (connections, tasks) = (self.connection_count(), self.tasks().len());
            tracing::warn!(connections, tasks, "not drained in time");
        }
    }

    #[cfg(feature = "serve")]
    pub(crate) fn drain_deadline(&self) -> Duration {
        Duration::from_millis(self.extension::<DrainOptions>().deadline_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll, Waker},
    };

    use tokio::time::{advance, timeout};

    use super::*;
    use crate::{
        connection::{OutboxLimits, Outgoing, Registered},
        protocol::Frame,
    };

    struct Open {
        outbox: Arc<Outbox>,
        _registered: Registered,
    }

    fn connect(endpoint: &Endpoint, connections: usize) -> Vec<Open> {
        let limits = OutboxLimits {
            frames: 1,
            bytes: 1,
            policy: crate::connection::SlowConsumer::Disconnect,
        };
        let one = |_| {
            let outbox = Outbox::new(limits, endpoint.connections().outboxes());
            let registered = endpoint.register(&outbox).unwrap();
            Open {
                outbox,
                _registered: registered,
            }
        };
        (0..connections).map(one).collect()
    }

    fn closed(open: &[Open]) -> Vec<bool> {
        let is_closed = |open: &Open| {
            let next = open
                .outbox
                .poll_next(&mut Context::from_waker(Waker::noop()));
            next == Poll::Ready(Outgoing::Close(Close::DRAINING))
        };
        open.iter().map(is_closed).collect()
    }

    fn count(open: &[Open]) -> usize {
        closed(open).into_iter().filter(|closed| *closed).count()
    }

    fn endpoint(options: DrainOptions) -> Endpoint {
        Endpoint::builder().drainer(options).build().unwrap()
    }

    fn small() -> DrainOptions {
        DrainOptions::default()
            .batch_size(3)
            .batch_interval(Duration::from_millis(100))
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_closed_in_batches_the_newest_first() {
        let endpoint = endpoint(small());
        let open = connect(&endpoint, 8);
        let started = Instant::now();
        let mut drain = spawn_drain(&endpoint);
        for (elapsed, expected) in [(0, 3), (99, 3), (100, 6), (199, 6), (200, 8)] {
            let to = started + Duration::from_millis(elapsed);
            advance(to - Instant::now()).await;
            tokio::task::yield_now().await;
            assert_eq!(count(&open), expected, "after {elapsed} ms");
        }
        assert!(
            drain.try_join_next().is_some(),
            "nothing is left to wait for"
        );
    }

    fn spawn_drain(endpoint: &Endpoint) -> tokio::task::JoinSet<()> {
        let mut set = tokio::task::JoinSet::new();
        let endpoint = endpoint.clone();
        set.spawn(async move { endpoint.drain().await });
        set
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_came_last_go_first_and_the_others_work_on() {
        let endpoint = endpoint(small());
        let open = connect(&endpoint, 4);
        let _drain = spawn_drain(&endpoint);
        tokio::task::yield_now().await;
        assert_eq!(closed(&open), [false, true, true, true]);
        let frame = Frame::Text("x".into());
        open[0].outbox.send(
            crate::connection::OutboundFrame::Own(frame.clone()),
            crate::connection::Urgency::MustSend,
        );
        let next = open[0]
            .outbox
            .poll_next(&mut Context::from_waker(Waker::noop()));
        assert_eq!(next, Poll::Ready(Outgoing::Frame(frame)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_batch_is_closed_without_a_wait() {
        let endpoint = endpoint(DrainOptions::default());
        let open = connect(&endpoint, 100);
        let started = Instant::now();
        endpoint.drain().await;
        assert_eq!((count(&open), started.elapsed()), (100, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn many_batches_share_half_of_the_deadline() {
        let options = small().deadline(Duration::from_secs(1));
        let endpoint = endpoint(options.batch_interval(Duration::from_secs(60)));
        let open = connect(&endpoint, 9);
        let started = Instant::now();
        endpoint.drain().await;
        assert_eq!(
            (count(&open), started.elapsed()),
            (9, Duration::from_millis(500))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_tasks_until_the_deadline() {
        let endpoint = endpoint(small().deadline(Duration::from_secs(7)));
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        for seconds in [5, 50] {
            endpoint.tasks().spawn(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                ENDED.fetch_add(1, Ordering::Relaxed);
            });
        }
        let started = Instant::now();
        endpoint.drain().await;
        assert_eq!(started.elapsed(), Duration::from_secs(7));
        assert_eq!(ENDED.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_is_given_up_closes_the_rest_at_once() {
        let endpoint = endpoint(small());
        let open = connect(&endpoint, 8);
        let given_up = timeout(Duration::from_millis(50), endpoint.drain()).await;
        assert!(given_up.is_err());
        assert_eq!(count(&open), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_it_drains_is_closed_and_two_drains_are_one() {
        let endpoint = endpoint(small());
        let open = connect(&endpoint, 6);
        let _first = spawn_drain(&endpoint);
        tokio::task::yield_now().await;
        let late = connect(&endpoint, 1);
        assert_eq!((count(&open), count(&late)), (3, 1));
        assert!(endpoint.is_draining());
        endpoint.draining().await;
        endpoint.drain().await;
        assert_eq!(count(&open), 6);
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        for (options, name) in [
            (DrainOptions::default().batch_size(0), "batch_size"),
            (DrainOptions::default().deadline(Duration::ZERO), "deadline"),
        ] {
            let error = Endpoint::builder().drainer(options).build().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_the_references() {
        let read: DrainOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(read, DrainOptions::default());
        assert_eq!(read.interval(3), Duration::from_secs(2));
        assert!(serde_json::from_str::<DrainOptions>(r#"{"batchsize": 1}"#).is_err());
    }
}
