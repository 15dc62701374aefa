//! The clock moves only for waits, so every time is exact.

use std::time::Duration;

use channel_runtime::{
    Bytes,
    upload::{Discard, RateLimit, RateLimiter, UploadWriter},
};
use tokio::time::{Instant, advance};

const CHUNK: u64 = 1000;

async fn write(writer: &mut RateLimit<Discard>) {
    writer
        .write_chunk(Bytes::from(vec![0; CHUNK as usize]))
        .await
        .unwrap();
}

fn millis(since: Instant) -> u64 {
    // tokio's timer counts milliseconds, rounded up.
    since.elapsed().as_millis() as u64
}

#[tokio::test(start_paused = true)]
async fn what_one_second_allows_comes_at_once_and_the_rest_at_the_rate() {
    let limiter = RateLimiter::per_second(10 * CHUNK);
    let (mut writer, start) = (RateLimit::new(Discard, &limiter), Instant::now());
    for _ in 0..10 {
        write(&mut writer).await;
    }
    assert_eq!(millis(start), 0);
    for _ in 0..20 {
        write(&mut writer).await;
    }
    assert_eq!(millis(start), 2000);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_used_is_saved_up_to_the_burst_and_no_further() {
    let limiter = RateLimiter::per_second(10 * CHUNK).burst(2 * CHUNK);
    let mut writer = RateLimit::new(Discard, &limiter);
    advance(Duration::from_secs(3600)).await;
    let start = Instant::now();
    for _ in 0..5 {
        write(&mut writer).await;
    }
    assert_eq!(millis(start), 300);
}

#[tokio::test(start_paused = true)]
async fn writers_of_one_limiter_share_it() {
    let limiter = RateLimiter::per_second(10 * CHUNK).burst(0);
    let start = Instant::now();
    let writers = (0..4).map(|_| {
        let mut writer = RateLimit::new(Discard, &limiter.clone());
        tokio::spawn(async move {
            for _ in 0..5 {
                write(&mut writer).await;
            }
            millis(start)
        })
    });
    let mut ends = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        ends.push(writer.await.unwrap());
    }
    assert_eq!(ends, [1700, 1800, 1900, 2000], "in turns");
}

#[tokio::test(start_paused = true)]
async fn writers_of_limiters_of_their_own_do_not_wait_for_one_another() {
    let start = Instant::now();
    for _ in 0..4 {
        let mut writer = RateLimit::new(Discard, &RateLimiter::per_second(CHUNK));
        write(&mut writer).await;
    }
    assert_eq!(millis(start), 0);
}

#[test]
#[should_panic = "lets nothing through"]
fn no_bytes_a_second_are_no_limit() {
    RateLimiter::per_second(0);
}
