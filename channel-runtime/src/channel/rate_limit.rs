//! Rate limits of the messages of a client, or of a user.

use std::{
    any::TypeId,
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, state::keyed::HashMapStateStore,
};
use parking_lot::RwLock;
use tokio::time::Instant;

use super::Channel;
use crate::{
    connection::{ClientId, ClientKey},
    endpoint::Endpoint,
    protocol::Refusal,
};

/// A limit of messages, as `rate_limit(per_second = 5, burst = 10)` declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// The counted event; `None` for all of the channel together.
    event: Option<&'static str>,
    /// The time after which one more message may come.
    every: Duration,
    burst: NonZeroU32,
    by_user: bool,
}

impl RateLimit {
    /// Creates a limit of `count` messages in `period_ms` milliseconds, of which `burst` may come
    /// at once.
    ///
    /// # Panics
    ///
    /// Panics if one of them is zero, which `#[channel]` refuses.
    pub const fn new(count: u32, period_ms: u64, burst: u32) -> Self {
        let Some(burst) = NonZeroU32::new(burst) else {
            panic!("a burst is one message at least")
        };
        let nanoseconds = period_ms as u128 * 1_000_000 / count as u128;
        assert!(
            nanoseconds > 0,
            "a rate is at most one message a nanosecond"
        );
        assert!(
            nanoseconds < u64::MAX as u128,
            "a rate is no slower than any clock"
        );
        RateLimit {
            event: None,
            every: Duration::from_nanos(nanoseconds as u64),
            burst,
            by_user: false,
        }
    }

    /// Counts one event instead of all of the channel together.
    #[must_use]
    pub const fn of(mut self, event: &'static str) -> Self {
        self.event = Some(event);
        self
    }

    /// Counts the messages of all connections of this node whose socket has the same id.
    #[must_use]
    pub const fn by_user(mut self) -> Self {
        self.by_user = true;
        self
    }

    fn counts(&self, event: &str) -> bool {
        self.event.is_none_or(|counted| counted == event)
    }
}

/// Tokio's time, which tests can pause, since the endpoint's first limit.
#[derive(Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Limiter =
    RateLimiter<ClientKey, HashMapStateStore<ClientKey>, TokioClock, NoOpMiddleware<Duration>>;

/// One limit, with its recent clients.
struct Counted {
    limiter: Limiter,
    clock: TokioClock,
    /// The number of messages until silent clients are forgotten.
    left: AtomicUsize,
}

/// The least number of messages between two sweeps of silent clients. With more clients than that,
/// it is the number of clients.
const SWEEP: usize = 1024;

impl Counted {
    fn new(limit: &RateLimit) -> Self {
        let clock = TokioClock(Instant::now());
        // A period of zero is refused when the limit is created.
        let quota = Quota::with_period(limit.every).unwrap_or(Quota::per_second(limit.burst));
        let quota = quota.allow_burst(limit.burst);
        Counted {
            limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()),
            clock,
            left: AtomicUsize::new(SWEEP),
        }
    }

    /// Counts a message. Returns the time to wait for the next one if this is one too many.
    fn check(&self, key: &ClientKey) -> Result<(), Duration> {
        let countdown = |left: usize| left.checked_sub(1);
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.left.fetch_update(set, read, countdown).is_err() {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.left
                .store(SWEEP.max(self.limiter.len()), Ordering::Relaxed);
        }
        let checked = self.limiter.check_key(key);
        checked.map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// The limits of an endpoint's channels, each by the channel and the limit.
#[derive(Default)]
struct Limits(RwLock<HashMap<(TypeId, RateLimit), Arc<Counted>>>);

impl Limits {
    fn counted<C: Channel>(&self, limit: &RateLimit) -> Arc<Counted> {
        let key = (TypeId::of::<C>(), *limit);
        if let Some(counted) = self.0.read().get(&key) {
            return counted.clone();
        }
        let mut all = self.0.write();
        let counted = all.entry(key);
        counted
            .or_insert_with(|| Arc::new(Counted::new(limit)))
            .clone()
    }
}

/// Counts a message of a client against the limits of its channel. Returns the refusal if it is one
/// too many.
pub(super) fn check<C: Channel>(
    endpoint: &Endpoint,
    client: &ClientId,
    event: &str,
) -> Result<(), Refusal> {
    let all = endpoint.extension::<Limits>();
    for limit in C::RATE_LIMITS.iter().filter(|limit| limit.counts(event)) {
        let key = match limit.by_user {
            true => client.user(),
            false => client.connection(),
        };
        if let Err(wait) = all.counted::<C>(limit).check(&key) {
            let labels = [("channel", C::NAME), ("event", limit.event.unwrap_or("*"))];
            metrics::counter!("channel_rate_limited_total", &labels).increment(1);
            let milliseconds = wait.as_nanos().div_ceil(1_000_000).max(1);
            let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
            return Err(Refusal::new("rate limited").with("retry_after_ms", milliseconds));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clients_that_are_silent_are_forgotten() {
        let counted = Counted::new(&RateLimit::new(1, 1000, 1));
        for client in 0..10 * SWEEP as u64 {
            assert_eq!(counted.check(&ClientKey::Connection(client)), Ok(()));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let kept = counted.limiter.len();
        assert!(kept < 2 * SWEEP, "{kept}");
    }
}
