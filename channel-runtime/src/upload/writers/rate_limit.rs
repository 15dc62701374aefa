//! Limits the rate at which files arrive.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::upload::{CloseReason, Paused, UploadEntry, UploadWriter, WriterError};

/// Passes chunks to another writer no faster than a [`RateLimiter`] allows. The client waits, since
/// it sends a chunk only when an earlier one is answered.
///
/// # The limit and the chunk timeout
///
/// A chunk that waits for longer than the upload's `chunk_timeout` ends the upload. It waits for
/// the time of its own bytes and of one chunk of each upload that shares the limiter, so choose
/// `bytes per second > chunk_size × uploads at once ÷ chunk_timeout`, and half as much again. With
/// the defaults, 64,000 bytes and 10 s, a limiter for 100 uploads needs about 1 MB/s.
///
/// ```
/// use channel_runtime::upload::{RateLimit, RateLimiter, TempFile, UploadEntry};
///
/// # struct Gallery { limiter: RateLimiter }
/// # impl Gallery {
/// /// All uploads of this channel share 2 MB/s.
/// fn photos(&self, _: &UploadEntry) -> RateLimit<TempFile> {
///     RateLimit::new(TempFile::new(), &self.limiter)
/// }
/// # }
///
/// /// Each has 500 kB/s of its own.
/// fn video(_: &UploadEntry) -> RateLimit<TempFile> {
///     RateLimit::new(TempFile::new(), &RateLimiter::per_second(500_000))
/// }
/// ```
#[derive(Debug)]
pub struct RateLimit<W> {
    inner: W,
    limiter: RateLimiter,
}

impl<W> RateLimit<W> {
    /// Creates a writer under `limiter`. Writers of one limiter, or of clones of it, share its
    /// rate.
    pub fn new(inner: W, limiter: &RateLimiter) -> Self {
        RateLimit {
            inner,
            limiter: limiter.clone(),
        }
    }
}

/// A rate in bytes per second, for one upload or for all that share it: those of a channel, of a
/// socket, of the server. First come, first served.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    bytes_per_second: u64,
    burst: Duration,
    /// The time at which all admitted bytes would be through at the set rate.
    busy_until: Arc<Mutex<Instant>>,
}

impl RateLimiter {
    /// Creates a limit of this many bytes per second, on average. One second's worth may come at
    /// once.
    ///
    /// # Panics
    ///
    /// Panics if it is 0.
    pub fn per_second(bytes: u64) -> Self {
        assert!(
            bytes > 0,
            "a limit of no bytes a second lets nothing through"
        );
        let burst = Duration::from_secs(1);
        RateLimiter {
            bytes_per_second: bytes,
            burst,
            busy_until: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Sets the number of bytes that may come at once after a pause.
    #[must_use]
    pub fn burst(mut self, bytes: u64) -> Self {
        self.burst = self.time_of(bytes);
        self
    }

    /// Books the bytes, and waits until it is their turn.
    async fn wait_for(&self, bytes: u64) {
        let turn = {
            let mut busy_until = self.busy_until.lock();
            *busy_until = (*busy_until).max(Instant::now()) + self.time_of(bytes);
            // No time could be saved up before the program began.
            busy_until.checked_sub(self.burst)
        };
        if let Some(turn) = turn {
            sleep_until(turn).await;
        }
    }

    fn time_of(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl<W: UploadWriter> UploadWriter for RateLimit<W> {
    type Meta = W::Meta;

    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.inner.init(entry).await
    }

    async fn pause(&mut self) -> Result<Paused, WriterError> {
        self.inner.pause().await
    }

    async fn resume(&mut self) -> Result<(), WriterError> {
        self.inner.resume().await
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
        self.limiter.wait_for(chunk.len() as u64).await;
        self.inner.write_chunk(chunk).await
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        self.inner.close(reason).await
    }

    fn meta(&self) -> W::Meta {
        self.inner.meta()
    }
}
