//! An adapter on top of the channels of a messaging engine, independent of the engine.

mod beat;
mod config;
mod driver;
mod options;
mod queue;
mod run;
mod subscriptions;
mod timeout;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::driver::{BrokerConnection, Driver, DriverError, Incoming, Naming, Outgoing};
#[cfg(feature = "nats")]
pub(super) use self::options::Login;
pub use self::{
    config::ClusterConfig,
    options::{ClusterOptions, Overflow},
};
use self::{
    queue::{Item, Queue, fail},
    run::{Connected, one_line},
    subscriptions::SubscriptionTable,
    timeout::timeout_while_running,
};
use super::{
    BoxFuture, Health, LocalDelivery, PublishError, StartError, Status, distributed::Origin,
    namesake::Namesake,
};
use crate::{protocol::Topic, pubsub::telemetry as cluster};

/// The part between an endpoint and an engine: names, subscriptions, the publish queue and the
/// connection, which it restores when it ends.
pub(super) struct Broker {
    core: Arc<Core>,
    /// Starts the task that keeps the connection; `None` once it runs.
    begin: Mutex<Option<Begin>>,
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

type Begin = Box<dyn FnOnce() -> AbortOnDropHandle<()> + Send>;

/// The state shared by the adapter's callers and the connection task.
pub(crate) struct Core {
    engine: &'static str,
    options: ClusterOptions,
    node: String,
    naming: Naming,
    /// The channel for messages to this node alone.
    direct: Arc<str>,
    /// The origin that tells this node from others of the same name.
    origin: Origin,
    namesake: Namesake,
    local: OnceLock<LocalDelivery>,
    queue: Queue,
    subscriptions: Mutex<SubscriptionTable>,
    /// Notified when there are channels to subscribe or to unsubscribe.
    changed: Notify,
    beats: watch::Sender<u64>,
    max_message: AtomicUsize,
    overruns: AtomicU64,
    state: Mutex<State>,
}

/// The state of the connection.
struct State {
    up: bool,
    since: Instant,
    error: String,
    lag: Option<Duration>,
    /// The time at which the pending heartbeat was sent.
    beat: Option<Instant>,
    disconnects: u64,
}

/// The name of an engine, and how its channels are named.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) naming: Naming,
}

impl Broker {
    /// Connects, so that a bad URL or wrong credentials are reported at once.
    pub(super) async fn connect<D: Driver>(
        kind: Kind,
        driver: D,
        options: ClusterOptions,
    ) -> Result<Self, StartError> {
        let (core, queue) = Core::new(kind, options)?;
        let connected = run::connect(&core, &driver).await.map_err(|error| {
            let (engine, at) = (core.engine, driver.address());
            let why = one_line(&error);
            StartError::new(format!("cannot connect to {engine} at {at}: {why}")).with_source(error)
        })?;
        Ok(Broker::with(core, queue, driver, Some(connected)))
    }

    /// Connects in the background.
    pub(super) fn lazy<D: Driver>(
        kind: Kind,
        driver: D,
        options: ClusterOptions,
    ) -> Result<Self, StartError> {
        let (core, queue) = Core::new(kind, options)?;
        Ok(Broker::with(core, queue, driver, None))
    }

    fn with<D: Driver>(
        core: Arc<Core>,
        queue: mpsc::Receiver<Item>,
        driver: D,
        connected: Option<Connected<D::BrokerConnection>>,
    ) -> Self {
        let shared = core.clone();
        let begin: Begin = Box::new(move || {
            AbortOnDropHandle::new(tokio::spawn(run::run(shared, driver, queue, connected)))
        });
        Broker {
            core,
            begin: Mutex::new(Some(begin)),
            task: Mutex::new(None),
        }
    }

    pub(super) fn node(&self) -> &str {
        &self.core.node
    }

    pub(super) fn start(&self, local: LocalDelivery) -> Result<(), StartError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(StartError::new(
                "an endpoint with other nodes is built within a Tokio runtime",
            ));
        }
        let begin = self.begin.lock().take();
        let begin = begin.ok_or_else(|| StartError::new("an adapter serves one endpoint"))?;
        // Nothing is received before the task runs, so `local` is there first.
        let _first = self.core.local.set(local);
        *self.task.lock() = Some(begin());
        Ok(())
    }

    pub(super) fn broadcast(
        &self,
        topic: &Topic,
        message: Bytes,
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        self.core.publish(self.core.channel(topic), message)
    }

    pub(super) fn direct_broadcast(
        &self,
        node: &str,
        message: Bytes,
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        let channel = (self.core.naming)(&self.core.options.namespace, "node", node);
        self.core.publish(channel, message)
    }

    pub(super) fn subscribe(&self, topic: &Topic) {
        let channel = self.core.channel(topic);
        if self.core.subscriptions.lock().subscribe(channel) {
            self.core.changed.notify_one();
        }
    }

    pub(super) fn unsubscribe(&self, topic: &Topic) {
        let channel = self.core.channel(topic);
        if self
            .core
            .subscriptions
            .lock()
            .unsubscribe(&channel, Instant::now())
        {
            self.core.changed.notify_one();
        }
    }

    pub(super) fn confirmed(&self, topic: &Topic) -> Option<BoxFuture<'static, ()>> {
        let waiter = self
            .core
            .subscriptions
            .lock()
            .waiter(&self.core.channel(topic))?;
        let most = self.core.options.subscribe_timeout;
        Some(Box::pin(async move {
            if timeout_while_running(most, waiter).await.is_none() {
                cluster::trouble(
                    &"a subscription is not confirmed in time; a client joins without",
                );
            }
        }))
    }

    pub(super) fn health(&self) -> Health {
        self.core.health()
    }
}

impl Core {
    fn new(
        kind: Kind,
        options: ClusterOptions,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Item>), StartError> {
        options.check()?;
        let node = options.node_name();
        let direct = (kind.naming)(&options.namespace, "node", &node);
        let mut subscriptions = SubscriptionTable::new(options.unsubscribe_delay);
        subscriptions.subscribe(direct.clone());
        let (queue, receiver) = Queue::new(&options);
        let core = Arc::new(Core {
            engine: kind.name,
            node,
            naming: kind.naming,
            direct,
            origin: Origin::random(),
            namesake: Namesake::default(),
            local: OnceLock::new(),
            queue,
            subscriptions: Mutex::new(subscriptions),
            changed: Notify::new(),
            beats: watch::Sender::new(0),
            max_message: AtomicUsize::new(options.max_message),
            overruns: AtomicU64::new(0),
            state: Mutex::new(State {
                up: false,
                since: Instant::now(),
                error: "not connected yet".to_owned(),
                lag: None,
                beat: None,
                disconnects: 0,
            }),
            options,
        });
        Ok((core, receiver))
    }

    fn channel(&self, topic: &Topic) -> Arc<str> {
        (self.naming)(&self.options.namespace, "topic", topic)
    }

    fn publish(
        &self,
        channel: Arc<str>,
        body: Bytes,
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        let (len, limit) = (body.len(), self.max_message.load(Ordering::Relaxed));
        if len > limit {
            return fail(PublishError::TooLarge { len, limit });
        }
        self.queue.push(channel, body)
    }

    /// Handles a message that came from the engine.
    fn received(&self, channel: &str, body: Bytes) {
        if channel == &*self.direct
            && let Some((origin, seq)) = beat::read(&body)
        {
            match origin == self.origin {
                true => {
                    self.beats.send_replace(seq);
                }
                false => self.namesake.hear(&self.node),
            }
        } else if let Some(local) = self.local.get() {
            // Errors are counted and logged where they are found.
            let _garbage = local.deliver(body);
        }
    }

    fn health(&self) -> Health {
        let state = self.state.lock();
        let status = if state.up {
            Status::Up
        } else {
            Status::Down {
                since: state.since.elapsed(),
                error: state.error.clone(),
            }
        };
        let on_its_way = state.beat.map(|sent| sent.elapsed()).unwrap_or_default();
        Health {
            status,
            lag: state.lag.map(|lag| lag.max(on_its_way)),
            queued: self.queue.len(),
            disconnects: state.disconnects,
            lost: self.overruns.load(Ordering::Relaxed),
            namesake: self.namesake.heard(),
            ..Health::up(&self.node)
        }
    }
}

/// Returns a number that no other connection has.
pub(super) fn unique() -> String {
    format!("{:016x}", fastrand::u64(..))
}
