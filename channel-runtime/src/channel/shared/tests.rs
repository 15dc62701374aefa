use std::sync::{
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use futures_util::{future::join, poll};
use tokio::sync::oneshot;

use super::*;

fn key() -> Key {
    (TypeId::of::<()>(), Topic::from("a"))
}

async fn ready<T>(value: T) -> Result<T, Refusal> {
    Ok(value)
}

/// Counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_member_that_comes_while_the_first_loads_waits_for_its_value() {
    let topics = Arc::new(Topics::<u8>::default());
    let (first, second) = (topics.clone().enter(key()), topics.clone().enter(key()));
    let (open, gate) = oneshot::channel();
    let loading = first.load(async { Ok(gate.await.unwrap()) });
    let waiting = second.load(async { panic!("it is loaded already") });
    let (mut loading, mut waiting) = (Box::pin(loading), Box::pin(waiting));
    assert!(poll!(&mut loading).is_pending());
    assert!(poll!(&mut waiting).is_pending());
    open.send(7).unwrap();
    let (loaded, waited) = join(loading, waiting).await;
    assert!(loaded.is_ok() && waited.is_ok());
    assert_eq!((first.value(), second.value()), (Some(&7), Some(&7)));
    drop((first, second));
    assert!(topics.0.lock().is_empty());
}

#[tokio::test]
async fn all_who_wait_are_refused_and_the_next_loads_anew() {
    let topics = Arc::new(Topics::<u8>::default());
    let (first, second) = (topics.clone().enter(key()), topics.clone().enter(key()));
    let (open, gate) = oneshot::channel();
    let mut loading = Box::pin(first.load(async { Err(gate.await.unwrap()) }));
    let mut waiting = Box::pin(second.load(ready(1)));
    assert!(poll!(&mut loading).is_pending());
    assert!(poll!(&mut waiting).is_pending());
    open.send(Refusal::new("closed")).unwrap();
    let refused = join(&mut loading, &mut waiting).await;
    let refused = (refused.0.unwrap_err(), refused.1.unwrap_err());
    assert_eq!(refused.0.reason(), Some("closed"));
    assert_eq!(refused.1.reason(), Some("closed"));
    // While those who were refused are still there.
    let third = topics.clone().enter(key());
    third.load(ready(3)).await.unwrap();
    drop((loading, waiting));
    drop((first, second));
    let fourth = topics.clone().enter(key());
    fourth.load(ready(4)).await.unwrap();
    assert_eq!((third.value(), fourth.value()), (Some(&3), Some(&3)));
    drop((third, fourth));
    assert!(topics.0.lock().is_empty());
}

#[tokio::test]
async fn a_load_that_is_dropped_is_taken_over_by_one_who_waits() {
    let topics = Arc::new(Topics::<u8>::default());
    let (first, second) = (topics.clone().enter(key()), topics.clone().enter(key()));
    let mut loading = Box::pin(first.load(std::future::pending()));
    let mut waiting = Box::pin(second.load(ready(2)));
    assert!(poll!(&mut loading).is_pending());
    assert!(poll!(&mut waiting).is_pending());
    drop(loading);
    drop(first);
    waiting.await.unwrap();
    assert_eq!(second.value(), Some(&2));
}

#[tokio::test]
async fn a_load_that_is_dropped_alone_leaves_nothing() {
    let topics = Arc::new(Topics::<u8>::default());
    let first = topics.clone().enter(key());
    assert!(poll!(Box::pin(first.load(std::future::pending()))).is_pending());
    drop(first);
    assert!(topics.0.lock().is_empty());
}

#[tokio::test]
async fn the_value_is_dropped_with_the_last_member() {
    let topics = Arc::new(Topics::<Counted>::default());
    let drops = Arc::new(AtomicUsize::new(0));
    let (first, second) = (topics.clone().enter(key()), topics.clone().enter(key()));
    first.load(ready(Counted(drops.clone()))).await.unwrap();
    drop(first);
    let third = topics.clone().enter(key());
    drop(second);
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    assert!(third.value().is_some());
    drop(third);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert!(topics.0.lock().is_empty());
}

/// Says that it is being dropped, and waits until it may.
struct Slow(mpsc::SyncSender<()>, std::sync::Mutex<mpsc::Receiver<()>>);

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        self.1.lock().unwrap().recv().unwrap();
    }
}

/// A value, and the two ends of its drop.
fn slow() -> (Slow, mpsc::Receiver<()>, mpsc::SyncSender<()>) {
    let (dropping, begun) = mpsc::sync_channel(1);
    let (go_on, may) = mpsc::sync_channel(1);
    (Slow(dropping, std::sync::Mutex::new(may)), begun, go_on)
}

#[tokio::test]
async fn the_next_value_is_loaded_when_the_former_has_been_dropped() {
    let topics = Arc::new(Topics::<Slow>::default());
    let first = topics.clone().enter(key());
    let (value, begun, go_on) = slow();
    first.load(ready(value)).await.unwrap();
    let dropping = std::thread::spawn(move || drop(first));
    begun.recv().unwrap();
    // One who comes and goes meanwhile lets no other in.
    let gone = topics.clone().enter(key());
    assert!(poll!(Box::pin(gone.load(std::future::pending()))).is_pending());
    drop(gone);
    let next = topics.clone().enter(key());
    let (value, _next_begun, next_goes_on) = slow();
    let loaded = AtomicUsize::new(0);
    let mut loading = Box::pin(next.load(async {
        loaded.fetch_add(1, Ordering::SeqCst);
        Ok(value)
    }));
    assert!(poll!(&mut loading).is_pending());
    assert_eq!(loaded.load(Ordering::SeqCst), 0);
    go_on.send(()).unwrap();
    dropping.join().unwrap();
    loading.await.unwrap();
    assert_eq!(loaded.load(Ordering::SeqCst), 1);
    next_goes_on.send(()).unwrap();
    drop(next);
    assert!(topics.0.lock().is_empty());
}

/// Panics when it is dropped.
struct Bad;

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[tokio::test]
async fn a_panic_of_the_values_drop_lets_the_next_be_loaded() {
    let topics = Arc::new(Topics::<Option<Bad>>::default());
    let first = topics.clone().enter(key());
    first.load(ready(Some(Bad))).await.unwrap();
    drop(first);
    assert!(topics.0.lock().is_empty());
    let next = topics.clone().enter(key());
    next.load(ready(None)).await.unwrap();
}

#[test]
fn members_on_many_threads_never_have_two_values_at_once() {
    let topics = Arc::new(Topics::<Alone>::default());
    let alive = Arc::new(AtomicUsize::new(0));
    let member = || {
        for _ in 0..500 {
            let member = topics.clone().enter(key());
            let load = member.load(async { Ok(Alone::new(&alive)) });
            futures_executor(load).unwrap();
            assert_eq!(alive.load(Ordering::SeqCst), 1);
            drop(member);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(member);
        }
    });
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert!(topics.0.lock().is_empty());
}

/// Runs a future on this thread.
fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// A value beside which there is no other.
struct Alone(Arc<AtomicUsize>);

impl Alone {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        assert_eq!(alive.fetch_add(1, Ordering::SeqCst), 0);
        Alone(alive.clone())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        assert_eq!(self.0.fetch_sub(1, Ordering::SeqCst), 1);
    }
}
