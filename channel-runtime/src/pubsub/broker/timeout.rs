use std::{future::Future, pin::pin, time::Duration};

use tokio::time::timeout;

/// In so many parts a time is waited for.
const PARTS: u32 = 8;

/// What the future comes to, unless it takes longer. As a timeout, but only time counts in which
/// this process ran: one that was stopped for a while, with its machine or its container, finds
/// deadlines that are over beside answers that have come meanwhile, and is not to give up an engine
/// that has answered. However long it was stopped, that is one part of the time.
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
        // All deadlines are over before anybody has read from the connection.
        advance(MOST * 100).await;
        tokio::task::yield_now().await;
        engine.send("pong").unwrap();
        assert_eq!(waiting.await.unwrap(), Some(Ok("pong")));
    }
}
