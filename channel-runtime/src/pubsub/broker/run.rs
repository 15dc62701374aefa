//! The task that keeps the connection to the engine.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Core, beat,
    driver::{BrokerConnection, Driver, DriverError, Incoming, Outgoing},
    queue::Item,
    timeout::timeout_while_running,
};
use crate::pubsub::{PublishError, telemetry as cluster};

/// The maximum number of messages that go to the engine at once.
const BATCH: usize = 256;

/// A link, and the receiver that reports its end.
pub(super) struct Connected<L> {
    link: L,
    closed: watch::Receiver<Option<String>>,
    /// Once dropped, nothing from the link is delivered any more.
    over: DropGuard,
}

/// Connects once, and checks that this node may subscribe and publish as needed.
pub(super) async fn connect<D: Driver>(
    core: &Arc<Core>,
    driver: &D,
) -> Result<Connected<D::BrokerConnection>, DriverError> {
    let (sender, closed) = watch::channel(None);
    let over = CancellationToken::new();
    let incoming = Incoming {
        core: core.clone(),
        closed: sender,
        over: over.clone(),
    };
    let most = core.options.timeout;
    let ended = ended(closed.clone());
    let over = over.drop_guard();
    let connect = async {
        let link = driver.connect(incoming).await?;
        link.subscribe(std::slice::from_ref(&core.direct)).await?;
        Ok::<_, DriverError>(Connected { link, closed, over })
    };
    let connect = async {
        tokio::select! {
            biased;
            connected = connect => connected,
            why = ended => Err(why),
        }
    };
    let connected = timeout_while_running(most, connect).await;
    let connected =
        connected.unwrap_or_else(|| Err(format!("no answer within {most:?}").into()))?;
    // From here on messages are queued and joins wait, even if the task does not run yet.
    core.connected(&connected.link);
    Ok(connected)
}

/// Connects, serves the connection until it ends, and reconnects.
pub(super) async fn run<D: Driver>(
    core: Arc<Core>,
    driver: D,
    mut queue: mpsc::Receiver<Item>,
    mut connected: Option<Connected<D::BrokerConnection>>,
) {
    let mut wait = core.options.backoff.0;
    loop {
        let attempt = match connected.take() {
            Some(connected) => Ok(connected),
            None => connect(&core, &driver).await,
        };
        match attempt {
            Ok(Connected { link, closed, over }) => {
                let began = Instant::now();
                let Err(why) = serve(&core, &link, &mut queue, closed).await;
                drop(over);
                core.disconnected(why, &mut queue);
                if began.elapsed() > core.options.backoff.1 {
                    wait = core.options.backoff.0;
                }
            }
            Err(error) => core.still_down(one_line(&error)),
        }
        sleep(varied(wait)).await;
        wait = (wait * 2).min(core.options.backoff.1);
    }
}

/// Formats an error as one line, since some errors have several.
pub(super) fn one_line(error: &DriverError) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns between three and five quarters of `wait`, so that nodes do not come back together.
fn varied(wait: Duration) -> Duration {
    wait.mul_f64(0.75 + fastrand::f64() / 2.0)
}

/// Serves the link until it fails; returns the reason.
async fn serve<L: BrokerConnection>(
    core: &Core,
    link: &L,
    queue: &mut mpsc::Receiver<Item>,
    closed: watch::Receiver<Option<String>>,
) -> Result<Infallible, DriverError> {
    tokio::select! {
        end = publish(core, link, queue) => end,
        end = subscribe(core, link) => end,
        end = heartbeat(core, link) => end,
        why = ended(closed) => Err(why),
    }
}

/// Waits until the link has ended, and returns the reason.
async fn ended(mut closed: watch::Receiver<Option<String>>) -> DriverError {
    let why = closed.wait_for(Option::is_some).await;
    let why = why.ok().and_then(|why| why.clone());
    why.unwrap_or_else(|| "the connection has ended".to_owned())
        .into()
}

/// Returns the engine's answer, or an error if it does not answer in time.
async fn answer<T>(
    core: &Core,
    what: &str,
    call: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, DriverError> {
    let most = core.options.timeout;
    timeout_while_running(most, call)
        .await
        .unwrap_or_else(|| Err(format!("{what}: no answer within {most:?}").into()))
}

/// Sends the queued messages, in batches of those that have accumulated.
async fn publish<L: BrokerConnection>(
    core: &Core,
    link: &L,
    queue: &mut mpsc::Receiver<Item>,
) -> Result<Infallible, DriverError> {
    let (mut items, mut messages, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        if queue.recv_many(&mut items, BATCH).await == 0 {
            return Err("the endpoint is gone".into());
        }
        for item in items.drain(..) {
            messages.push(item.message);
            waiting.push((item.outcome, item.room));
        }
        let outcomes = answer(core, "publish", link.publish(&messages)).await?;
        messages.clear();
        for ((waiter, _room), outcome) in waiting.drain(..).zip(outcomes) {
            // The waiter may be gone.
            let _gone = waiter.send(outcome.map_err(PublishError::Refused));
        }
    }
}

/// Subscribes to channels that are needed and unsubscribes from idle ones, in batches.
async fn subscribe<L: BrokerConnection>(core: &Core, link: &L) -> Result<Infallible, DriverError> {
    loop {
        let (over, fresh, next) = {
            let mut subscriptions = core.subscriptions.lock();
            let over = subscriptions.take_idle(Instant::now());
            (over, subscriptions.take_fresh(), subscriptions.next_idle())
        };
        if !over.is_empty() {
            answer(core, "unsubscribe", link.unsubscribe(&over)).await?;
        }
        if !fresh.is_empty() {
            answer(core, "subscribe", link.subscribe(&fresh)).await?;
            core.subscriptions.lock().confirmed(&fresh);
        }
        if !over.is_empty() || !fresh.is_empty() {
            continue;
        }
        let idle = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = core.changed.notified() => {}
            () = idle => {}
        }
    }
}

/// Sends this node a message through the engine at intervals, and waits for it to come back.
async fn heartbeat<L: BrokerConnection>(core: &Core, link: &L) -> Result<Infallible, DriverError> {
    let waiter = core.subscriptions.lock().waiter(&core.direct);
    if let Some(waiter) = waiter {
        let _confirmed = waiter.await;
    }
    let mut beats = core.beats.subscribe();
    let mut seq = *beats.borrow();
    loop {
        seq += 1;
        let began = Instant::now();
        let beat = Outgoing {
            channel: core.direct.clone(),
            body: beat::write(core.origin, seq),
        };
        core.state.lock().beat = Some(began);
        answer(core, "heartbeat", async {
            for outcome in link.publish(&[beat]).await? {
                outcome?;
            }
            beats.wait_for(|seen| *seen >= seq).await?;
            Ok(())
        })
        .await?;
        let lag = began.elapsed();
        {
            let mut state = core.state.lock();
            (state.lag, state.beat) = (Some(lag), None);
        }
        cluster::lag(lag);
        sleep(core.options.heartbeat).await;
    }
}

impl Core {
    fn connected<L: BrokerConnection>(&self, link: &L) {
        let most = self.options.max_message;
        let most = link.max_message().map_or(most, |link| link.min(most));
        self.max_message
            .store(most, std::sync::atomic::Ordering::Relaxed);
        self.subscriptions.lock().connected();
        let down = {
            let mut state = self.state.lock();
            state.up = true;
            std::mem::replace(&mut state.since, Instant::now()).elapsed()
        };
        self.queue.open();
        cluster::up(self.engine, &self.node, down);
    }

    fn disconnected(&self, why: DriverError, queue: &mut mpsc::Receiver<Item>) {
        {
            let mut state = self.state.lock();
            state.up = false;
            (state.lag, state.beat) = (None, None);
            state.since = Instant::now();
            state.error = one_line(&why);
            state.disconnects += 1;
        }
        self.queue.close(queue);
        self.subscriptions.lock().disconnected();
        cluster::down(self.engine, &self.node, &why);
    }

    fn still_down(&self, error: String) {
        cluster::still_down(self.engine, &error);
        self.state.lock().error = error;
    }
}

#[cfg(test)]
mod tests;
