//! Messages to a channel at a later time.

use std::{
    sync::{OnceLock, Weak},
    time::Duration,
};

use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Channel, InfoFor, Mailbox, call::Info};

/// Longer than any process lives: a longer period would overflow the clock.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A timer of a channel. Dropping it has no effect; the channel's end ends it.
#[derive(Clone, Debug)]
pub struct TimerRef(CancellationToken);

impl TimerRef {
    /// Ends the timer. No effect if it has already fired. Mirrors `Process.cancel_timer/1`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// The timers of one channel, empty until the first is set. They end with the channel.
#[derive(Debug, Default)]
pub(super) struct Timers(OnceLock<CancellationToken>);

impl Timers {
    /// Returns a token that is cancelled with the channel.
    pub(super) fn token(&self) -> CancellationToken {
        self.0.get_or_init(CancellationToken::new).child_token()
    }

    pub(super) fn after<C: Channel, M: InfoFor<C>>(
        &self,
        mailbox: Weak<Mailbox<C>>,
        delay: Duration,
        message: M,
    ) -> TimerRef {
        let token = self.token();
        let timer = TimerRef(token.clone());
        tokio::spawn(token.run_until_cancelled_owned(async move {
            time::sleep(delay).await;
            if let Some(mailbox) = mailbox.upgrade() {
                mailbox.send(Box::new(Info(message)));
            }
        }));
        timer
    }

    /// # Panics
    ///
    /// Panics if `period` is zero: here, where the caller sees it, and not in the timer's task.
    #[track_caller]
    pub(super) fn every<C: Channel, M: InfoFor<C> + Clone>(
        &self,
        mailbox: Weak<Mailbox<C>>,
        period: Duration,
        message: M,
    ) -> TimerRef {
        assert!(
            !period.is_zero(),
            "the period of an interval must be more than zero"
        );
        let period = period.min(NEVER);
        let token = self.token();
        let timer = TimerRef(token.clone());
        tokio::spawn(token.run_until_cancelled_owned(async move {
            let mut ticks = time::interval_at(time::Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let Some(mailbox) = mailbox.upgrade() else {
                    return;
                };
                mailbox.send(Box::new(Info(message.clone())));
            }
        }));
        timer
    }

    pub(super) fn end(&self) {
        if let Some(token) = self.0.get() {
            token.cancel();
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.end();
    }
}
