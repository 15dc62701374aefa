//! In any order of a client's messages, every writer is closed once and dropped, nothing is left
//! running, and the channel answers.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use channel_runtime::test::TestChannel;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::{
    runtime::{Builder, Handle},
    task,
    time::{self, Duration},
};

use super::page::{Page, file};

/// The time that the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The behaviour of a file's writer or handler, by the file's name.
const KINDS: [&str; 8] = [
    "plain",
    "slow",
    "init_error",
    "write_error",
    "close_error",
    "keep",
    "refuse",
    "bad",
];

#[derive(Clone, Debug)]
enum Act {
    Allow {
        entry_ref: u8,
        kind: usize,
        size: u64,
    },
    /// With the file's own name and size, or those of another.
    GoOn {
        entry_ref: u8,
        token: usize,
        honest: bool,
    },
    Join {
        topic: u8,
        token: usize,
        resume: bool,
    },
    Chunk {
        channel: usize,
        len: usize,
        at: Option<u64>,
    },
    Text(usize),
    Leave(usize),
    Cancel {
        entry_ref: Option<u8>,
        token: Option<usize>,
    },
    Lie(u8, usize),
    Take,
    Nap,
    Release,
    Wait(u64),
    Reconnect,
}

fn act() -> impl Strategy<Value = Act> {
    let at = prop::option::of((0..4_u64).prop_map(|chunks| chunks * 10));
    let (entry_ref, index) = (0..5_u8, 0..64_usize);
    prop_oneof![
        3 => (entry_ref.clone(), 0..KINDS.len(), 0..45_u64)
            .prop_map(|(entry_ref, kind, size)| Act::Allow { entry_ref, kind, size }),
        3 => (entry_ref.clone(), index.clone(), prop::bool::weighted(0.9))
            .prop_map(|(entry_ref, token, honest)| Act::GoOn { entry_ref, token, honest }),
        5 => (0..4_u8, index.clone(), any::<bool>())
            .prop_map(|(topic, token, resume)| Act::Join { topic, token, resume }),
        9 => (index.clone(), 0..13_usize, at)
            .prop_map(|(channel, len, at)| Act::Chunk { channel, len, at }),
        1 => index.clone().prop_map(Act::Text),
        2 => index.clone().prop_map(Act::Leave),
        2 => (prop::option::of(entry_ref.clone()), prop::option::of(index))
            .prop_map(|(entry_ref, token)| Act::Cancel { entry_ref, token }),
        1 => (entry_ref, 0..5_usize).prop_map(|(entry_ref, what)| Act::Lie(entry_ref, what)),
        1 => Just(Act::Take),
        1 => Just(Act::Nap),
        2 => Just(Act::Release),
        1 => prop_oneof![Just(50_u64), Just(600), Just(1_100)].prop_map(Act::Wait),
        1 => Just(Act::Reconnect),
    ]
}

/// A client that keeps to no rule.
struct Villain {
    page: Page,
    photos: String,
    tokens: Vec<(String, String, u64)>,
    channels: Vec<TestChannel>,
    files: usize,
}

impl Villain {
    async fn act(&mut self, act: Act) {
        match act {
            Act::Allow {
                entry_ref,
                kind,
                size,
            } => {
                self.files += 1;
                let name = format!("{}-{}.bin", KINDS[kind], self.files);
                self.allow(entry_ref, name, size, None).await;
            }
            Act::GoOn {
                entry_ref,
                token,
                honest,
            } => {
                if let Some((token, name, size)) = pick(&self.tokens, token).cloned() {
                    let size = if honest { size } else { size + 1 };
                    self.allow(entry_ref, name, size, Some(token)).await;
                }
            }
            Act::Join {
                topic,
                token,
                resume,
            } => {
                let token = pick(&self.tokens, token).map(|(token, ..)| token.as_str());
                let payload = json!({"token": token.unwrap_or("forged"), "resume": resume});
                let joined = self.page.client.join(&format!("lvu:{topic}"), payload);
                // A join in the place of a channel that is in a write waits for that write.
                let joined = time::timeout(PATIENCE, joined).await;
                self.channels.extend(joined.into_iter().flatten());
            }
            Act::Chunk { channel, len, at } => {
                if let Some(channel) = pick(&self.channels, channel) {
                    let head = at.map(u64::to_be_bytes).unwrap_or_default();
                    let (event, head) = match at {
                        Some(_) => ("chunk_at", &head[..]),
                        None => ("chunk", &head[..0]),
                    };
                    let _later = channel.push_binary(event, [head, &vec![1; len]].concat());
                }
            }
            Act::Text(channel) => {
                if let Some(channel) = pick(&self.channels, channel) {
                    let _later = channel.push("chunk", "text");
                }
            }
            Act::Leave(channel) => {
                if !self.channels.is_empty() {
                    let channel = self.channels.remove(channel % self.channels.len());
                    let _later = channel.leave();
                }
            }
            Act::Cancel { entry_ref, token } => {
                let token = token.and_then(|token| pick(&self.tokens, token));
                let token = token.map(|(token, ..)| token);
                let entry_ref = entry_ref.map(|entry_ref| entry_ref.to_string());
                self.tell(
                    "upload_cancel",
                    json!({"entry_ref": entry_ref, "token": token}),
                );
            }
            Act::Lie(entry_ref, what) => {
                let lies = [
                    json!(100),
                    json!(-1),
                    json!({"error": "x"}),
                    json!(1e300),
                    json!(null),
                ];
                let lie = json!({"entry_ref": entry_ref.to_string(), "progress": lies[what]});
                self.tell("progress", lie);
            }
            Act::Take => self.tell("take_finished", json!(null)),
            Act::Nap => self.tell("nap", json!(null)),
            Act::Release => self.page.release(),
            Act::Wait(ms) => time::sleep(Duration::from_millis(ms)).await,
            Act::Reconnect => {
                self.channels.clear();
                self.page.reconnect().await;
                self.photos = self.page.upload("photos").await;
            }
        }
    }

    fn tell(&self, event: &str, mut payload: Value) {
        if let Value::Object(fields) = &mut payload {
            fields.insert("ref".to_owned(), self.photos.clone().into());
        }
        let _later = self.page.owner.push(event, payload);
    }

    async fn allow(&mut self, entry_ref: u8, name: String, size: u64, resume: Option<String>) {
        let entry_ref = entry_ref.to_string();
        let mut entry = file(&entry_ref, &name, size);
        entry["resume"] = resume.into();
        let asked = self.page.allow(&self.photos, json!([entry]));
        let Ok(reply) = time::timeout(PATIENCE, asked).await else {
            return;
        };
        let reply: Value = reply.response();
        if let Some(token) = reply["entries"][&entry_ref].as_str() {
            self.tokens.push((token.to_owned(), name, size));
        }
    }
}

fn pick<T>(among: &[T], index: usize) -> Option<&T> {
    among.get(index % among.len().max(1))
}

/// The calls of the writers of one file.
#[derive(Debug, Default)]
struct Asked {
    init: usize,
    closed: usize,
    done: usize,
    handled: usize,
    dropped: usize,
}

async fn run(acts: Vec<Act>) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let page = Page::open(&format!("hostile_{}", RUNS.fetch_add(1, Relaxed))).await;
    let photos = page.upload("photos").await;
    settle().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut villain = Villain {
        page,
        photos,
        tokens: Vec::new(),
        channels: Vec::new(),
        files: 0,
    };
    for act in acts {
        villain.act(act).await;
        task::yield_now().await;
    }
    villain.act(Act::Reconnect).await;
    for _ in 0..1_000 {
        villain.page.release();
    }
    // Longer than any wait for a client, or for a writer.
    time::sleep(Duration::from_secs(90)).await;
    settle().await;
    assert_eq!(tasks(), before, "nothing is left running");
    villain
        .page
        .owner
        .push("look", ())
        .await
        .expect_ok::<Value>();
    let mut files: BTreeMap<String, Asked> = BTreeMap::new();
    for line in villain.page.rest().await {
        let (name, what) = line.split_once(": ").unwrap();
        let asked = files.entry(name.to_owned()).or_default();
        match what.split(' ').next().unwrap() {
            "init" => asked.init += 1,
            "done" => (asked.done, asked.closed) = (asked.done + 1, asked.closed + 1),
            "cancel" | "error" => asked.closed += 1,
            "handle" => asked.handled += 1,
            "drop" => asked.dropped += 1,
            _ => {}
        }
    }
    for (name, asked) in files {
        let closed = if name.starts_with("init") {
            0
        } else {
            asked.init
        };
        assert_eq!(asked.closed, closed, "{name}: {asked:?}");
        assert_eq!(asked.dropped, asked.init, "{name}: {asked:?}");
        // A postponed file is handed over again if its client resumes it.
        let once = asked.handled <= asked.done || name.starts_with("keep");
        assert!(once, "{name}: {asked:?}");
    }
}

/// Lets every task run that can, while time stands still.
async fn settle() {
    for _ in 0..1_000 {
        task::yield_now().await;
    }
}

proptest! {
    #[test]
    fn whatever_a_client_does_every_writer_is_closed_once_and_nothing_is_left(
        acts in prop::collection::vec(act(), 0..60)
    ) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(run(acts));
    }
}
