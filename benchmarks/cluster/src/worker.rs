//! One process: it subscribes to topics, and publishes on command.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::side::{Kind, Side};

const BODY: usize = 200;

/// The messages received on a topic.
#[derive(Default)]
struct Heard {
    count: AtomicU64,
    /// The latency of each message, if the topic is `latency`.
    nanos: Mutex<Vec<u64>>,
}

pub(crate) async fn run(kind: Kind, url: &str, name: &str) -> Result<()> {
    let side = Side::connect(kind, url, name).await?;
    let mut heard: HashMap<String, Arc<Heard>> = HashMap::new();
    println!("ready");
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["hear", topic] => {
                let is_timed = topic == "latency";
                let log = Arc::new(Heard::default());
                heard.insert(topic.to_owned(), log.clone());
                let hear = move |body: &[u8]| {
                    log.count.fetch_add(1, Ordering::Relaxed);
                    if is_timed && let Some(sent) = body.first_chunk() {
                        let took = now() - u64::from_be_bytes(*sent);
                        log.nanos.lock().expect("nothing panics").push(took);
                    }
                };
                side.hear(&side_topic(kind, topic), hear).await?;
                println!("ok");
            }
            ["say", topic, messages, apart] => {
                let mut ticks = interval(Duration::from_micros(apart.parse()?));
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for _ in 0..messages.parse::<u64>()? {
                    ticks.tick().await;
                    side.publish(&side_topic(kind, topic), body()).await?;
                }
                println!("ok");
            }
            ["load", topic, millis, publishers] => {
                let time = Duration::from_millis(millis.parse()?);
                let topic = side_topic(kind, topic);
                println!("{}", load(&side, &topic, time, publishers.parse()?).await?);
            }
            ["heard", topic] => {
                let log = heard.get(topic).context("a topic that is heard")?;
                println!("{}", take(log).await);
            }
            _ => bail!("what is {line:?}?"),
        }
    }
    Ok(())
}

/// Returns a side's name for a topic, so that the sides do not receive each other's messages.
fn side_topic(kind: Kind, topic: &str) -> String {
    format!("{}-{topic}", kind.name())
}

/// Returns the machine's time, which all processes share.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Both are positive since the machine was started.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn body() -> Bytes {
    let mut body = vec![b'x'; BODY];
    body[..8].copy_from_slice(&now().to_be_bytes());
    body.into()
}

/// Runs this many publishers, each waiting for its answers, and returns the number of messages.
async fn load(side: &Side, topic: &str, time: Duration, publishers: u64) -> Result<u64> {
    let until = Instant::now() + time;
    let publisher = |_| {
        let (side, topic) = (side.clone(), topic.to_owned());
        tokio::spawn(async move {
            let mut sent = 0;
            while Instant::now() < until {
                side.publish(&topic, body()).await?;
                sent += 1;
            }
            anyhow::Ok(sent)
        })
    };
    let publishers: Vec<_> = (0..publishers).map(publisher).collect();
    let mut sent = 0;
    for publisher in publishers {
        sent += publisher.await??;
    }
    Ok(sent)
}

/// Waits until nothing more comes, and returns the number of messages and the latency of each.
async fn take(heard: &Heard) -> String {
    let mut before = u64::MAX;
    while before != heard.count.load(Ordering::Relaxed) {
        before = heard.count.load(Ordering::Relaxed);
        sleep(Duration::from_millis(100)).await;
    }
    let nanos = std::mem::take(&mut *heard.nanos.lock().expect("nothing panics"));
    let mut said = heard.count.swap(0, Ordering::Relaxed).to_string();
    for nanos in nanos {
        said.push(' ');
        said += &nanos.to_string();
    }
    said
}
