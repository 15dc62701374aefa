use std::{future::Future, pin::pin, time::Duration};

use tokio::time::timeout;

/// The number of slices the timeout is split into.
const PARTS: u32 = 8;

/// Waits for the future, but at most this long. Unlike an ordinary timeout, it counts only time in
/// which this process ran. A process that was stopped for a while, with its machine or its
/// container, wakes to expired deadlines and to answers that have arrived meanwhile, and must not
/// give up an engine that has answered. A stop of any length counts as one slice.
pub(super) async fn timeout_while_running<T>(
    most: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..PARTS {
        if let Ok(done) = timeout(most / PARTS, &mut future).await {
            return Some(done);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::{
        sync::oneshot,
        time::{Instant, advance},
    };

    use super::*;

    const MOST: Duration = Duration::from_secs(8);

    #[tokio::test(start_paused = true)]
    async fn what_never_comes_is_waited_for_as_long_as_said() {
        let began = Instant::now();
        assert_eq!(
            timeout_while_running(MOST, std::future::pending::<()>()).await,
            None
        );
        assert_eq!(began.elapsed(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_while_this_process_was_stopped_counts() {
        let (engine, answer) = oneshot::channel();
        let waiting = tokio::spawn(timeout_while_running(MOST, answer));
        tokio::task::yield_now().await;
        // All deadlines expire before the connection is read.
        advance(MOST * 100).await;
        tokio::task::yield_now().await;
        engine.send("pong").unwrap();
        assert_eq!(waiting.await.unwrap(), Some(Ok("pong")));
    }
}
