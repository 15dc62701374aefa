use std::collections::BTreeMap;

use super::*;
use crate::{
    presence::client::StrictClient,
    pubsub::{
        Adapter, BoxFuture, FnSubscriber, Health, LocalDelivery, PublishError, StartError,
        Subscription,
    },
};

/// The nodes of a test, each with what it takes in.
#[derive(Clone, Default)]
struct Bus(Arc<Mutex<Spokes>>);

#[derive(Default)]
struct Spokes {
    nodes: BTreeMap<String, LocalDelivery>,
    cut: Option<String>,
}

impl Bus {
    fn carry(&self, from: &str, to: Option<&str>, message: &Bytes) {
        let spokes = self.0.lock();
        let cut = |name: &str| spokes.cut.as_deref() == Some(name);
        let others = spokes.nodes.iter().filter(|(name, _)| *name != from);
        let receivers = others.filter(|(name, _)| to.is_none_or(|to| to == *name));
        let receivers = receivers.filter(|(name, _)| !cut(name) && !cut(from));
        let receivers: Vec<_> = receivers.map(|(_, local)| local.clone()).collect();
        drop(spokes);
        for local in receivers {
            local.deliver(message.clone()).unwrap();
        }
    }
}

struct Spoke {
    bus: Bus,
    node: String,
}

impl Adapter for Spoke {
    fn node(&self) -> &str {
        &self.node
    }

    fn start(&self, local: LocalDelivery) -> Result<(), StartError> {
        self.bus.0.lock().nodes.insert(self.node.clone(), local);
        Ok(())
    }

    fn broadcast(&self, _: &Topic, message: Bytes) -> BoxFuture<'static, Result<(), PublishError>> {
        self.bus.carry(&self.node, None, &message);
        Box::pin(std::future::ready(Ok(())))
    }

    fn direct_broadcast(
        &self,
        node: &str,
        message: Bytes,
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        self.bus.carry(&self.node, Some(node), &message);
        Box::pin(std::future::ready(Ok(())))
    }

    fn subscribe(&self, _: &Topic) {}

    fn unsubscribe(&self, _: &Topic) {}

    fn health(&self) -> Health {
        Health::up(&self.node)
    }
}

fn start(bus: &Bus, name: &str, inc: u64) -> Arc<PresenceNode> {
    let spoke = Spoke {
        bus: bus.clone(),
        node: name.to_owned(),
    };
    let pubsub = PubSub::with(Box::new(spoke), |work| work()).unwrap();
    let token = Token::new([[7; 32]], "channel mail presence").unwrap();
    PresenceNode::start(inc, pubsub, token, Timing::default())
}

fn room() -> RoomName {
    RoomName {
        presence: "Room".into(),
        topic: "room:1".into(),
    }
}

fn track(node: &Arc<PresenceNode>, key: &str, meta: &str) -> Tracked {
    let meta = MetaText::new(meta).unwrap();
    let key = Key::new(key).unwrap();
    let same = |other: &MetaText| *other == meta;
    node.track(&room(), &key, &meta, same, &Limits::default())
        .unwrap()
}

/// A client: it gets the state as it subscribes, and then the diffs.
struct Client {
    seen: Arc<Mutex<Option<StrictClient>>>,
    frames: Arc<Mutex<usize>>,
    changed: Arc<Notify>,
    _subscription: Subscription,
}

impl Client {
    async fn join(node: &Arc<PresenceNode>) -> Self {
        let seen: Arc<Mutex<Option<StrictClient>>> = Arc::default();
        let (frames, changed) = (Arc::new(Mutex::new(0)), Arc::new(Notify::new()));
        let (view, count, wake) = (seen.clone(), frames.clone(), changed.clone());
        let subscriber = FnSubscriber::new(move |broadcast: &Broadcast| {
            assert_eq!(broadcast.event(), DIFF);
            let mut view = view.lock();
            let view = view.as_mut().expect("the state comes first");
            view.diff(broadcast.payload().as_json().unwrap()).unwrap();
            *count.lock() += 1;
            wake.notify_one();
        });
        let topic = Topic::from("room:1");
        let prepared = node.pubsub.prepare(&topic).await;
        let id = node.pubsub.new_id();
        let subscription =
            node.pubsub
                .subscribe_then(prepared, topic, id, Arc::new(subscriber), || {
                    let state = node.state(&room());
                    *seen.lock() = Some(StrictClient::new(state.as_json().unwrap()));
                });
        Client {
            seen,
            frames,
            changed,
            _subscription: subscription,
        }
    }

    fn shown(&self) -> BTreeMap<String, Vec<String>> {
        self.seen.lock().as_ref().unwrap().shown()
    }

    /// Waits until the client sees these keys, each with its metas.
    async fn sees(&self, keys: &[(&str, &[&str])]) {
        let expected: BTreeMap<String, Vec<String>> = keys
            .iter()
            .map(|(key, metas)| {
                let metas = metas.iter().map(|meta| (*meta).to_owned()).collect();
                ((*key).to_owned(), metas)
            })
            .collect();
        while self.shown() != expected {
            self.changed.notified().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_tracked_on_one_node_is_seen_by_the_clients_of_another() {
    let bus = Bus::default();
    let (a, b) = (start(&bus, "a", 1), start(&bus, "b", 2));
    let watcher = Client::join(&b).await;
    let ann = track(&a, "ann", r#"{"n":1}"#);
    watcher.sees(&[("ann", &[r#"{"n":1}"#])]).await;
    assert_eq!(b.count(&room()), 1);
    assert_eq!(b.get(&room(), "ann")[0].1.as_str(), r#"{"n":1}"#);

    let meta = MetaText::new(r#"{"n":2}"#).unwrap();
    ann.update(&meta, &Limits::default()).unwrap();
    assert_eq!(ann.meta(), Some(meta));
    watcher.sees(&[("ann", &[r#"{"n":2}"#])]).await;

    drop(ann);
    watcher.sees(&[]).await;
    assert!(b.list(&room()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_later_learns_who_is_there() {
    let bus = Bus::default();
    let a = start(&bus, "a", 1);
    let _ann = track(&a, "ann", "{}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let b = start(&bus, "b", 2);
    let watcher = Client::join(&b).await;
    watcher.sees(&[("ann", &["{}"])]).await;
}

#[tokio::test(start_paused = true)]
async fn who_moves_to_another_node_within_the_grace_causes_no_frame() {
    let bus = Bus::default();
    let (a, b) = (start(&bus, "a", 1), start(&bus, "b", 2));
    let (here, there) = (Client::join(&a).await, Client::join(&b).await);
    let ann = track(&a, "ann", "{}");
    here.sees(&[("ann", &["{}"])]).await;
    there.sees(&[("ann", &["{}"])]).await;
    ann.linger(Duration::from_secs(10));
    a.leave();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _ann = track(&b, "ann", "{}");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(*here.frames.lock(), 1);
    assert_eq!(*there.frames.lock(), 1);
    there.sees(&[("ann", &["{}"])]).await;
}

#[tokio::test(start_paused = true)]
async fn who_a_node_listed_that_is_cut_off_leaves_and_comes_back_with_it() {
    let bus = Bus::default();
    let (a, b) = (start(&bus, "a", 1), start(&bus, "b", 2));
    let watcher = Client::join(&b).await;
    let _ann = track(&a, "ann", "{}");
    watcher.sees(&[("ann", &["{}"])]).await;
    bus.0.lock().cut = Some("a".to_owned());
    watcher.sees(&[]).await;
    bus.0.lock().cut = None;
    watcher.sees(&[("ann", &["{}"])]).await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_changes_is_one_frame_a_window() {
    let bus = Bus::default();
    let a = start(&bus, "a", 1);
    let watcher = Client::join(&a).await;
    let all: Vec<_> = (0..200)
        .map(|number| track(&a, &format!("user-{number}"), "{}"))
        .collect();
    while watcher.shown().len() < 200 {
        watcher.changed.notified().await;
    }
    drop(all);
    watcher.sees(&[]).await;
    assert!(*watcher.frames.lock() <= 4, "{}", watcher.frames.lock());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_dropped_ends_its_task() {
    let bus = Bus::default();
    let node = start(&bus, "a", 1);
    let weak = Arc::downgrade(&node);
    drop(node);
    assert!(weak.upgrade().is_none());
}
