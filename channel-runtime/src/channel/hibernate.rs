use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Channel, Inbox};

/// Gives the memory of a burst back once the channel has been idle for a while.
///
/// The timer is set when there is something to give back and looked at when it fires, not moved
/// with every message.
pub(super) struct Hibernation {
    after: Option<Duration>,
    busy: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Hibernation {
    pub(super) fn new<C: Channel>() -> Self {
        Hibernation {
            after: C::OPTIONS.hibernate_after,
            busy: Instant::now(),
            timer: None,
        }
    }

    /// The channel has had a message.
    pub(super) fn wake(&mut self) {
        if self.after.is_some() {
            self.busy = Instant::now();
        }
    }

    /// Called while the channel waits for messages.
    pub(super) fn poll<C: Channel>(&mut self, inbox: &Inbox<C>, cx: &mut Context<'_>) {
        let Some(after) = self.after else { return };
        if self.timer.is_none() && inbox.is_spacious() {
            self.timer = Some(Box::pin(sleep_until(self.busy + after)));
        }
        while let Some(timer) = &mut self.timer
            && let Poll::Ready(()) = timer.as_mut().poll(cx)
        {
            let due = self.busy + after;
            if due > Instant::now() {
                timer.as_mut().reset(due);
            } else {
                inbox.shrink();
                self.timer = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::{channel::inbox::Letter, prelude::*};

    struct Room;

    #[channel("room:*", hibernate_after = 1_000)]
    impl Room {
        #[join]
        fn join() -> Self {
            Room
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_after_the_idle_time_and_not_before() {
        let inbox = Inbox::<Room>::new(4);
        let mut hibernation = Hibernation::new::<Room>();
        assert!(inbox.insist(Letter::Closed).is_ok());
        let _letter = poll_fn(|cx| inbox.poll_next(cx)).await;
        let mut spacious_after = async |milliseconds| {
            poll_fn(|cx| {
                hibernation.poll(&inbox, cx);
                Poll::Ready(())
            })
            .await;
            tokio::time::advance(Duration::from_millis(milliseconds)).await;
            poll_fn(|cx| {
                hibernation.poll(&inbox, cx);
                Poll::Ready(())
            })
            .await;
            inbox.is_spacious()
        };
        assert!(spacious_after(900).await);
        assert!(!spacious_after(101).await);
    }
}
