//! Shapes, by their definition and by their handle; each transaction goes to those it concerns.

use crate::config::Config;
use crate::index::Index;
use crate::log::{Read, ShapeLog, SnapshotWriter};
use crate::offset::Offset;
use crate::predicate::Keys;
use crate::shape::{Definition, LogMode, Message};
use crate::source::{
    Bounds, Change, Event, Query, Snapshot, Source, SourceError, SourceHealth, Transaction,
};
use crate::telemetry;
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

/// How a [`Sync`](crate::Sync) is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How its source is.
    pub source: SourceHealth,
    /// The number of shapes.
    pub shapes: usize,
    /// Bytes of their logs.
    pub bytes: usize,
    /// Requests that wait for changes, streams of events among them.
    pub waiting: usize,
}

/// The state of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its snapshot is on its way.
    Creating,
    /// Its log has reached this offset.
    Live(Offset),
    /// It could not be made.
    Failed(SourceError),
    /// The shape has ended, and its handle is invalid.
    Gone,
}

pub(crate) struct Shape {
    id: u64,
    pub(crate) handle: SmolStr,
    pub(crate) definition: Definition,
    identity: Arc<str>,
    keys: Option<Keys>,
    stage: watch::Sender<Stage>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    log: ShapeLog,
    /// Transactions that came before the snapshot was there, and their bytes.
    waiting: Option<(Vec<Batch>, usize)>,
    /// Until a transaction from behind the snapshot came.
    bounds: Option<Bounds>,
}

/// The messages of one transaction for a shape.
struct Batch {
    xid: u64,
    lsn: u64,
    messages: Vec<Message>,
}

impl Shape {
    pub(crate) fn watch(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    pub(crate) fn first(&self) -> (Bytes, Offset) {
        self.inner.lock().log.first()
    }

    pub(crate) fn read(&self, after: Offset) -> Read {
        self.inner.lock().log.read(after)
    }

    pub(crate) fn messages(&self, after: Offset) -> Vec<(Offset, Bytes)> {
        self.inner.lock().log.messages(after)
    }

    pub(crate) fn end(&self) -> Offset {
        self.inner.lock().log.end()
    }
}

/// The state of reading the source's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Following {
    /// Not started, or failed; the next request tries again.
    No(Option<SourceError>),
    Begins,
    Yes,
    /// The source has no more changes: nothing would be kept up to date.
    Ended,
}

pub(crate) struct Engine {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) config: Config,
    state: Mutex<State>,
    following: watch::Sender<Following>,
    snapshots: Semaphore,
    waiting: AtomicUsize,
}

/// A request that waits for changes, counted while it does.
pub(crate) struct Waiting(Arc<Engine>);

impl Waiting {
    pub(crate) fn new(engine: &Arc<Engine>) -> Waiting {
        engine.waiting.fetch_add(1, Ordering::Relaxed);
        telemetry::waits();
        Waiting(engine.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        telemetry::waits_no_longer();
    }
}

#[derive(Default)]
struct State {
    shapes: HashMap<u64, Entry>,
    by_identity: HashMap<Arc<str>, u64>,
    by_handle: HashMap<SmolStr, u64>,
    tables: HashMap<u32, Index>,
    /// Shapes by when they were last asked for.
    used: BTreeMap<u64, u64>,
    tick: u64,
    next_id: u64,
    last_micros: u64,
    bytes: usize,
    lsn: u64,
    open: Option<Open>,
}

/// A transaction that comes in parts, so far.
#[derive(Default)]
struct Open {
    /// The place of its next change.
    op: u64,
    /// The messages for each shape, and their size in bytes.
    batches: HashMap<u64, (Vec<Message>, usize)>,
    bytes: usize,
    /// Room for the shapes of one change.
    found: Vec<u64>,
}

struct Entry {
    shape: Arc<Shape>,
    used: u64,
    bytes: usize,
}

impl Engine {
    pub(crate) fn new(source: Arc<dyn Source>, config: Config) -> Arc<Engine> {
        let snapshots = Semaphore::new(config.snapshots);
        let state = Mutex::default();
        let following = watch::Sender::new(Following::No(None));
        Arc::new(Engine {
            source,
            config,
            state,
            following,
            snapshots,
            waiting: AtomicUsize::new(0),
        })
    }

    /// Reads the source's changes, from the first request on.
    pub(crate) async fn follow(self: &Arc<Self>) -> Result<(), SourceError> {
        let mut following = self.following.subscribe();
        // A separate task begins it: the first caller may go, and others wait for the result.
        let begins = self.following.send_if_modified(|following| {
            let begins = matches!(following, Following::No(_));
            if begins {
                *following = Following::Begins;
            }
            begins
        });
        if begins {
            let engine = Arc::downgrade(self);
            let source = self.source.clone();
            tokio::spawn(async move {
                let changes = source.changes().await;
                drop(source);
                Engine::read(engine, changes).await;
            });
        }
        let begun = following.wait_for(|following| *following != Following::Begins);
        let text = match tokio::time::timeout(self.config.snapshot_timeout, begun).await {
            Ok(Ok(following)) => match &*following {
                Following::Yes => return Ok(()),
                Following::No(Some(error)) => return Err(error.clone()),
                Following::No(None) | Following::Begins => "the source is not followed",
                Following::Ended => "the source ended its changes",
            },
            _ => "the source is not followed yet",
        };
        Err(SourceError::Unavailable(text.into()))
    }

    async fn read(engine: Weak<Engine>, changes: Result<mpsc::Receiver<Event>, SourceError>) {
        let follows = |following: Following| match engine.upgrade() {
            Some(engine) => {
                engine.following.send_replace(following);
                true
            }
            None => false,
        };
        let mut changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                follows(Following::No(Some(error)));
                return;
            }
        };
        if !follows(Following::Yes) {
            return;
        }
        telemetry::connected(true);
        while let Some(event) = changes.recv().await {
            let Some(engine) = engine.upgrade() else {
                return;
            };
            engine.told(event);
        }
        // Without changes every shape would be stale: none stays.
        if let Some(engine) = engine.upgrade() {
            tracing::error!("the source ended its changes; all shapes end");
            engine.following.send_replace(Following::Ended);
            telemetry::connected(false);
            engine.state.lock().remove_all();
        }
    }

    pub(crate) async fn health(&self) -> Health {
        let source = self.source.health().await;
        let (shapes, bytes) = {
            let state = self.state.lock();
            (state.shapes.len(), state.bytes)
        };
        let waiting = self.waiting.load(Ordering::Relaxed);
        Health {
            source,
            shapes,
            bytes,
            waiting,
        }
    }

    /// Every change up to here is in the shapes' logs.
    pub(crate) fn lsn(&self) -> u64 {
        self.state.lock().lsn
    }

    /// Returns the shape of the definition; creates it if there is none.
    pub(crate) fn shape(self: &Arc<Self>, definition: Definition) -> Arc<Shape> {
        let identity = definition.identity();
        let mut state = self.state.lock();
        if let Some(id) = state.by_identity.get(identity.as_str()).copied()
            && let Some(shape) = state.touch(id)
        {
            return shape;
        }
        let shape = state.create(definition, identity.into());
        while state.shapes.len() > self.config.max_shapes {
            if !state.evict(shape.id) {
                break;
            }
        }
        let engine = self.clone();
        let made = shape.clone();
        // A separate task: the first caller may go, and others wait for the result.
        tokio::spawn(async move {
            let began = Instant::now();
            let result = engine.make(&made).await;
            let outcome = match &result {
                Ok(()) => "ok",
                Err(SourceError::Altered) => "altered",
                Err(_) => "error",
            };
            telemetry::made(outcome, began.elapsed());
            match result {
                Ok(()) => {}
                Err(SourceError::Altered) => engine.delete(&made),
                Err(error) => {
                    tracing::warn!(handle = %made.handle, %error, "a shape's snapshot failed");
                    engine.state.lock().remove(made.id, Stage::Failed(error));
                }
            }
        });
        shape
    }

    /// The shape of the handle.
    pub(crate) fn by_handle(&self, handle: &str) -> Option<Arc<Shape>> {
        let state = self.state.lock();
        let id = state.by_handle.get(handle)?;
        state.shapes.get(id).map(|entry| entry.shape.clone())
    }

    /// The shape of the definition, if there is one.
    pub(crate) fn by_definition(&self, definition: &Definition) -> Option<Arc<Shape>> {
        let state = self.state.lock();
        let id = state.by_identity.get(definition.identity().as_str())?;
        state.shapes.get(id).map(|entry| entry.shape.clone())
    }

    /// Ends the shape: its handle is never given again.
    pub(crate) fn delete(&self, shape: &Shape) {
        self.state.lock().remove(shape.id, Stage::Gone);
    }

    async fn make(&self, shape: &Shape) -> Result<(), SourceError> {
        let closed = |_| SourceError::Unavailable("the server ends".into());
        let _permit = self.snapshots.acquire().await.map_err(closed)?;
        let definition = &shape.definition;
        // The shape is in the index by now: an alteration from here on comes as a change.
        let now = self
            .source
            .relation(definition.relation.table.name())
            .await?;
        if now.as_ref() != Some(&definition.relation) {
            self.delete(shape);
            return Ok(());
        }
        let query = Query {
            relation: &definition.relation,
            filters: definition.predicate.as_deref().into_iter().collect(),
            order: None,
            limit: (definition.log == LogMode::ChangesOnly).then_some(0),
            offset: 0,
        };
        let Snapshot {
            bounds, mut rows, ..
        } = self.source.snapshot(query).await?;
        let mut writer = SnapshotWriter::default();
        while let Some(row) = rows.next().await {
            let message = definition.snapshot_message(&row?, None);
            writer.push(&message, self.config.chunk_bytes);
            if writer.bytes() > self.config.max_shape_bytes {
                return Err(too_large(self.config.max_shape_bytes));
            }
        }
        writer.push(&snapshot_end(&bounds), self.config.chunk_bytes);
        let mut inner = shape.inner.lock();
        inner.log = writer.finish();
        inner.bounds = Some(bounds);
        let waiting = inner.waiting.take();
        for batch in waiting.into_iter().flat_map(|(batches, _)| batches) {
            self.append(shape, &mut inner, batch);
        }
        let (end, bytes) = (inner.log.end(), inner.log.bytes());
        // Under the lock: no transaction comes between the stage and the log.
        shape.stage.send_if_modified(|stage| {
            let creating = *stage == Stage::Creating;
            if creating {
                *stage = Stage::Live(end);
            }
            creating
        });
        drop(inner);
        self.state.lock().account(shape.id, bytes);
        self.bound(shape.id);
        Ok(())
    }

    /// Adds a transaction to the log, unless the snapshot has it.
    fn append(&self, shape: &Shape, inner: &mut Inner, batch: Batch) {
        if let Some(bounds) = &inner.bounds {
            if bounds.has(batch.xid) {
                return;
            }
            // From here on none is in the snapshot, also when the ids begin again.
            let behind = Bounds {
                xmin: bounds.xmax,
                xmax: bounds.xmax,
                xip: vec![],
            };
            if !behind.has(batch.xid) {
                inner.bounds = None;
            }
        }
        let count = batch.messages.len();
        for (i, message) in batch.messages.iter().enumerate() {
            let last = i + 1 == count;
            let (offset, text) = shape.definition.finish(message, batch.xid, batch.lsn, last);
            inner.log.push(offset, text, self.config.chunk_bytes);
        }
    }

    fn told(&self, event: Event) {
        match event {
            Event::Transaction(transaction) => self.apply(&transaction),
            Event::Restarted => self.state.lock().open = None,
            Event::Altered(now) => {
                let mut state = self.state.lock();
                let all = state.tables.get(&now.id).into_iter().flat_map(Index::all);
                let survives = |id: &u64| {
                    let entry = state.shapes.get(id);
                    entry.is_some_and(|e| e.shape.definition.survives(&now))
                };
                let ended: Vec<u64> = all.filter(|id| !survives(id)).collect();
                state.end(ended);
            }
            Event::Ended { relation } => {
                let mut state = self.state.lock();
                let all = state.tables.get(&relation).into_iter();
                let all: Vec<u64> = all.flat_map(Index::all).collect();
                state.end(all);
            }
            Event::Lost => {
                tracing::warn!("changes may be lost; all shapes end");
                self.state.lock().remove_all();
            }
        }
    }

    fn apply(&self, transaction: &Transaction) {
        let mut state = self.state.lock();
        let mut open = state.open.take().unwrap_or_default();
        for change in &transaction.changes {
            self.collect(&mut state, &mut open, change);
        }
        if !transaction.complete {
            state.open = Some(open);
            return;
        }
        for (id, (messages, _)) in open.batches {
            if messages.is_empty() {
                continue;
            }
            let Some(entry) = state.shapes.get(&id) else {
                continue;
            };
            let shape = entry.shape.clone();
            let batch = Batch {
                xid: transaction.xid,
                lsn: transaction.lsn,
                messages,
            };
            let bytes = self.deliver(&shape, batch);
            if bytes > self.config.max_shape_bytes {
                tracing::info!(handle = %shape.handle, bytes, "a shape's log is full: it ends");
                state.remove(id, Stage::Gone);
            } else {
                state.account(id, bytes);
            }
        }
        state.lsn = transaction.lsn;
        let over = state.bytes > self.config.max_bytes;
        drop(state);
        if over {
            self.bound(u64::MAX);
        }
        telemetry::applied();
        self.source.stored(transaction.lsn);
    }

    /// Adds the messages of a change to each shape that it may concern.
    fn collect(&self, state: &mut State, open: &mut Open, change: &Change) {
        let op = open.op;
        open.op += 2;
        let (relation, old, new) = match change {
            Change::Insert { relation, new } => (relation, None, Some(new)),
            Change::Update { relation, old, new } => (relation, Some(old), Some(new)),
            Change::Delete { relation, old } => (relation, Some(old), None),
            Change::Truncate { relation } => {
                let all = state.tables.get(relation).into_iter();
                let all: Vec<u64> = all.flat_map(Index::all).collect();
                state.end(all);
                return;
            }
        };
        let Some(index) = state.tables.get(relation) else {
            return;
        };
        let mut ended = Vec::new();
        index.concerned([old, new], &mut open.found);
        for id in &open.found {
            let Some(entry) = state.shapes.get(id) else {
                continue;
            };
            let shape = &entry.shape;
            let (messages, bytes) = open.batches.entry(*id).or_default();
            let before = messages.len();
            if let Err(error) = shape.definition.changes(old, new, op, messages) {
                // One shape whose predicate has no value stops no other.
                tracing::warn!(handle = %shape.handle, %error, "a shape ends");
                ended.push(*id);
                continue;
            }
            let added: usize = messages[before..].iter().map(Message::size).sum();
            *bytes += added;
            open.bytes += added;
            if *bytes > self.config.max_shape_bytes || open.bytes > self.config.max_bytes {
                tracing::info!(handle = %shape.handle, bytes, "a transaction is too large for a shape: it ends");
                ended.push(*id);
            }
        }
        for id in ended {
            if let Some((_, bytes)) = open.batches.remove(&id) {
                open.bytes -= bytes;
            }
            state.remove(id, Stage::Gone);
        }
    }

    /// Appends to the log, or keeps for later; the bytes that the shape has then.
    fn deliver(&self, shape: &Shape, batch: Batch) -> usize {
        let mut inner = shape.inner.lock();
        if let Some((waiting, bytes)) = &mut inner.waiting {
            *bytes += batch.messages.iter().map(Message::size).sum::<usize>();
            waiting.push(batch);
            return *bytes;
        }
        let before = inner.log.end();
        self.append(shape, &mut inner, batch);
        let (end, bytes) = (inner.log.end(), inner.log.bytes());
        if end != before {
            shape.stage.send_if_modified(|stage| {
                let live = matches!(stage, Stage::Live(_));
                if live {
                    *stage = Stage::Live(end);
                }
                live
            });
        }
        bytes
    }

    /// Ends shapes that were not asked for for longest, until all fit.
    fn bound(&self, keep: u64) {
        let mut state = self.state.lock();
        while state.bytes > self.config.max_bytes {
            if !state.evict(keep) {
                break;
            }
        }
    }
}

fn too_large(most: usize) -> SourceError {
    SourceError::Unavailable(format!("the shape has more than {most} bytes"))
}

fn snapshot_end(bounds: &Bounds) -> String {
    let xip: Vec<String> = bounds.xip.iter().map(u64::to_string).collect();
    serde_json::json!({ "headers": {
        "control": "snapshot-end",
        "xmin": bounds.xmin.to_string(),
        "xmax": bounds.xmax.to_string(),
        "xip_list": xip,
    }})
    .to_string()
}

impl State {
    fn touch(&mut self, id: u64) -> Option<Arc<Shape>> {
        let entry = self.shapes.get_mut(&id)?;
        self.used.remove(&entry.used);
        self.tick += 1;
        entry.used = self.tick;
        self.used.insert(self.tick, id);
        Some(entry.shape.clone())
    }

    fn create(&mut self, definition: Definition, identity: Arc<str>) -> Arc<Shape> {
        self.next_id += 1;
        let id = self.next_id;
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Handles are never given twice, also when the clock goes back.
        self.last_micros = (now.as_micros() as u64).max(self.last_micros + 1);
        let handle: SmolStr = format!("{}-{}", hasher.finish() as u32, self.last_micros).into();
        let keys = definition
            .predicate
            .as_ref()
            .and_then(|predicate| predicate.keys());
        let index = self.tables.entry(definition.relation.id).or_default();
        index.insert(id, keys.as_ref());
        let inner = Inner {
            waiting: Some((Vec::new(), 0)),
            ..Inner::default()
        };
        let shape = Arc::new(Shape {
            id,
            handle: handle.clone(),
            definition,
            identity: identity.clone(),
            keys,
            stage: watch::Sender::new(Stage::Creating),
            inner: Mutex::new(inner),
        });
        self.tick += 1;
        self.used.insert(self.tick, id);
        self.shapes.insert(
            id,
            Entry {
                shape: shape.clone(),
                used: self.tick,
                bytes: 0,
            },
        );
        self.by_identity.insert(identity, id);
        self.by_handle.insert(handle, id);
        telemetry::holds(self.shapes.len(), self.bytes);
        shape
    }

    fn account(&mut self, id: u64, bytes: usize) {
        if let Some(entry) = self.shapes.get_mut(&id) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
            telemetry::holds(self.shapes.len(), self.bytes);
        }
    }

    /// Ends the shape that was not asked for for longest, but not this one.
    fn evict(&mut self, keep: u64) -> bool {
        let oldest = self.used.values().copied().find(|id| *id != keep);
        match oldest {
            Some(id) => {
                self.remove(id, Stage::Gone);
                true
            }
            None => false,
        }
    }

    fn end(&mut self, ids: Vec<u64>) {
        for id in ids {
            self.remove(id, Stage::Gone);
        }
    }

    fn remove_all(&mut self) {
        self.open = None;
        let all = self.shapes.keys().copied().collect();
        self.end(all);
    }

    fn remove(&mut self, id: u64, stage: Stage) {
        let Some(entry) = self.shapes.remove(&id) else {
            return;
        };
        let shape = entry.shape;
        self.bytes -= entry.bytes;
        self.used.remove(&entry.used);
        if self.by_identity.get(&shape.identity) == Some(&id) {
            self.by_identity.remove(&shape.identity);
        }
        self.by_handle.remove(&shape.handle);
        let relation = shape.definition.relation.id;
        if let Some(index) = self.tables.get_mut(&relation) {
            index.remove(id, shape.keys.as_ref());
            if index.is_empty() {
                self.tables.remove(&relation);
            }
        }
        shape.stage.send_replace(stage);
        telemetry::ended();
        telemetry::holds(self.shapes.len(), self.bytes);
    }
}
