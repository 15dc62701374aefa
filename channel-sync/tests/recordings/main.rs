//! 24 recorded conversations with Electric 1.7.12, each exchange of them had again with the open API
//! over tables in memory. The clock is moved, so that nothing waits and nothing depends on how fast
//! a machine is. With the feature `postgres`, they are had over a real PostgreSQL, too, and both
//! sources keep the same contract.

mod beside;
#[cfg(feature = "postgres")]
mod cluster;
#[cfg(feature = "postgres")]
mod contract;
#[cfg(feature = "postgres")]
mod faults;
#[cfg(feature = "postgres")]
mod follower;
mod norm;
#[cfg(feature = "postgres")]
mod postgres;
mod sql;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use channel_sync::{Config, Sync};
use futures_util::StreamExt;
use norm::{Answer, Names, comparable};
use serde_json::Value as Json;
use sql::Database;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tower::ServiceExt;

/// An exchange that is answered otherwise on purpose.
pub(crate) struct Otherwise {
    scenario: &'static str,
    step: usize,
    why: &'static str,
}

pub(crate) const fn otherwise(scenario: &'static str, step: usize, why: &'static str) -> Otherwise {
    Otherwise {
        scenario,
        step,
        why,
    }
}

pub(crate) const NEW_HANDLE: &str = "a waiting request whose shape ended is told the new handle";
pub(crate) const SAME_KEY: &str = "a key is the same in snapshot and stream";
pub(crate) const AT_ONCE: &str = "a dropped table is noticed at once";
pub(crate) const STAYS_OPEN: &str = "a stream of events stays open after its backlog";
pub(crate) const PREFLIGHT: &str = "a preflight allows the headers that it asks for";
pub(crate) const ENUM: &str = "enums are compared with their labels";
pub(crate) const MISTAKE: &str = "an integer that is out of range is the client's mistake";
pub(crate) const SUBQUERY: &str = "not there yet: subqueries";
const NO_PARTITIONS: &str = "tables in memory have no partitions, and are all alike";
pub(crate) const NO_CATALOGUE: &str = "a catalogue is no table, rather than an error of the server";
pub(crate) const READABLE: &str = "a page of another origin can read why it is refused";
pub(crate) const JSON_DETAILS: &str = "of broken JSON no details are told";

/// All of them. What is better on purpose has a test of its own in `beside.rs`, or in the unit tests.
/// A scenario's step after which the recorded client has another handle differs for the same reason.
const OTHERWISE: &[Otherwise] = &[
    otherwise("08-keys", 21, SAME_KEY),
    otherwise("08-keys", 25, SAME_KEY),
    otherwise("11-truncate", 5, NEW_HANDLE),
    otherwise("11-truncate", 6, NEW_HANDLE),
    otherwise("12-delete", 5, NEW_HANDLE),
    otherwise("12-delete", 6, NEW_HANDLE),
    otherwise("13-schema-change", 6, NEW_HANDLE),
    otherwise("13-schema-change", 8, NEW_HANDLE),
    otherwise("13-schema-change", 9, NEW_HANDLE),
    otherwise("13-schema-change", 10, NEW_HANDLE),
    otherwise("13-schema-change", 38, AT_ONCE),
    otherwise("13-schema-change", 39, AT_ONCE),
    otherwise("16-http", 1, PREFLIGHT),
    otherwise("17-sse", 8, STAYS_OPEN),
    otherwise("19-subset", 17, JSON_DETAILS),
    otherwise("24-relations", 4, NO_PARTITIONS),
    otherwise("24-relations", 6, NO_PARTITIONS),
    otherwise("24-relations", 7, NO_PARTITIONS),
    otherwise("24-relations", 8, NO_PARTITIONS),
    otherwise("24-relations", 10, NO_PARTITIONS),
    otherwise("24-relations", 15, NO_CATALOGUE),
    otherwise("24-relations", 16, NO_PARTITIONS),
    otherwise("26-where-language", 35, ENUM),
    otherwise("26-where-language", 45, SUBQUERY),
    otherwise("26-where-language", 61, MISTAKE),
    otherwise("28-subquery", 1, SUBQUERY),
    otherwise("28-subquery", 2, SUBQUERY),
    otherwise("28-subquery", 4, SUBQUERY),
    otherwise("28-subquery", 6, SUBQUERY),
    otherwise("28-subquery", 8, SUBQUERY),
    otherwise("29-secret", 0, READABLE),
    otherwise("29-secret", 1, READABLE),
    otherwise("29-secret", 7, READABLE),
    otherwise("29-secret", 8, READABLE),
];

/// The comparison of all answers of a scenario with the recorded ones.
struct Outcome {
    exchanges: usize,
    same: usize,
    different: Vec<(usize, String)>,
}

/// Where the statements of a recording are done.
enum Tables {
    Memory(Database),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Tables),
}

impl Tables {
    async fn run(&mut self, connection: &str, text: &str) {
        match self {
            Tables::Memory(database) => database.run(connection, text).await,
            #[cfg(feature = "postgres")]
            Tables::Postgres(tables) => tables.run(connection, text).await,
        }
    }

    /// Several statements as one transaction.
    async fn together(&mut self, statements: &[&str]) {
        match self {
            Tables::Memory(database) => database.together(statements).await,
            #[cfg(feature = "postgres")]
            Tables::Postgres(tables) => tables.together(statements).await,
        }
    }

    /// Waits until all commits are in the shapes.
    async fn settled(&self) {
        match self {
            Tables::Memory(_) => settled().await,
            #[cfg(feature = "postgres")]
            Tables::Postgres(tables) => tables.settled().await,
        }
    }
}

/// The server's state: a new one for each scenario.
struct Replay {
    a: Router,
    b: Router,
    database: Tables,
    saved: HashMap<String, String>,
    running: HashMap<String, JoinHandle<Answer>>,
}

pub(crate) fn config() -> Config {
    Config::new()
        .poll_timeout(Duration::from_millis(3000))
        .chunk_bytes(10_000)
        .allow_delete(true)
}

pub(crate) fn config_b() -> Config {
    Config::new()
        .poll_timeout(Duration::from_millis(3000))
        .secret("s3cret")
}

impl Replay {
    fn in_memory() -> Replay {
        let database = Database::default();
        let router = |config| Sync::new(database.source.clone(), config).open_api();
        let (a, b) = (router(config()), router(config_b()));
        Replay::new(a, b, Tables::Memory(database))
    }

    fn new(a: Router, b: Router, database: Tables) -> Replay {
        Replay {
            a,
            b,
            database,
            saved: HashMap::new(),
            running: HashMap::new(),
        }
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.saved {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        // A variable that was never saved, as the recorder wrote it.
        while let Some((head, rest)) = text.split_once("{{") {
            let (name, tail) = rest.split_once("}}").expect("it is closed");
            text = format!("{head}UNSET-{name}{tail}");
        }
        text
    }

    fn request(&self, http: &Json) -> (Router, Request<Body>) {
        let path = http["path"].as_str().unwrap_or("/v1/shape");
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in http["query"].as_object().into_iter().flatten() {
            query.append_pair(name, &self.filled(value.as_str().expect("text")));
        }
        let uri = format!("{path}?{}", query.finish());
        let method = http["method"].as_str().unwrap_or("GET");
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in http["headers"].as_object().into_iter().flatten() {
            request = request.header(name, self.filled(value.as_str().expect("text")));
        }
        let body = match &http["body"] {
            Json::Null => Body::empty(),
            Json::String(text) => Body::from(text.clone()),
            json => Body::from(json.to_string()),
        };
        let server = if http["server"] == "B" {
            &self.b
        } else {
            &self.a
        };
        (server.clone(), request.body(body).expect("a request"))
    }

    fn save(&mut self, http: &Json, answer: &Answer) {
        for (name, from) in http["save"].as_object().into_iter().flatten() {
            let from = from.as_str().and_then(|from| from.strip_prefix("header:"));
            if let Some(value) = from.and_then(|from| answer.headers.get(from)) {
                self.saved.insert(name.clone(), value.clone());
            }
        }
    }
}

pub(crate) async fn exchange(
    router: Router,
    request: Request<Body>,
    events: Option<Duration>,
) -> Answer {
    let start = Instant::now();
    let response = router.oneshot(request).await.expect("a router answers");
    let mut answer = Answer {
        status: response.status().as_u16(),
        ..Answer::default()
    };
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        answer.headers.insert(name.to_string(), value);
    }
    let is_stream = response.headers().get(header::CONTENT_TYPE)
        == Some(&header::HeaderValue::from_static("text/event-stream"));
    match events.filter(|_| is_stream) {
        None => {
            let body = axum::body::to_bytes(response.into_body(), usize::MAX)
                .await
                .expect("a body");
            answer.body = String::from_utf8(body.to_vec()).expect("text");
        }
        Some(most) => {
            let mut body = response.into_body().into_data_stream();
            let mut text = String::new();
            let closed = loop {
                match timeout_at(start + most, body.next()).await {
                    Err(_) => break false,
                    Ok(None) => break true,
                    Ok(Some(part)) => {
                        text.push_str(std::str::from_utf8(&part.expect("a part")).expect("text"));
                    }
                }
            };
            let lines = text.lines().filter(|line| !line.is_empty());
            let events = lines.map(|line| match line.strip_prefix("data:") {
                Some(data) => serde_json::from_str(data).expect("JSON"),
                None => line.into(),
            });
            answer.events = Some((events.collect(), closed));
        }
    }
    answer.millis = start.elapsed().as_millis() as u64;
    answer
}

fn recording(name: &str) -> Json {
    let path = format!("{}/tests/traces/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the recording is in the tree");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Waits until commits reach the shapes: the paused clock moves only after them.
pub(crate) async fn settled() {
    sleep(Duration::from_millis(1)).await;
}

async fn answers(recording: &Json, replay: &mut Replay) -> Vec<Option<Answer>> {
    for statement in recording["setup"].as_array().into_iter().flatten() {
        replay
            .database
            .run("main", statement.as_str().expect("text"))
            .await;
    }
    let mut answers = Vec::new();
    let mut background: HashMap<String, Json> = HashMap::new();
    for step in recording["steps"].as_array().expect("steps") {
        let mut answer = None;
        if let Some(seconds) = step["sleep"].as_f64() {
            sleep(Duration::from_secs_f64(seconds)).await;
        } else if let Some(id) = step["join"].as_str() {
            let done = replay
                .running
                .remove(id)
                .expect("it runs")
                .await
                .expect("it ends");
            replay.save(&background[id], &done);
            answer = Some(done);
        } else if step["http"].is_object() {
            let http = &step["http"];
            let (router, request) = replay.request(http);
            let events = http["sse_seconds"].as_f64().map(Duration::from_secs_f64);
            let call = exchange(router, request, events.filter(|_| http["sse"] == true));
            match step["bg"].as_str() {
                Some(id) => {
                    replay.running.insert(id.into(), tokio::spawn(call));
                    background.insert(id.into(), http.clone());
                    let settle = step["settle"].as_f64().unwrap_or(0.4);
                    sleep(Duration::from_secs_f64(settle)).await;
                }
                None => {
                    let done = call.await;
                    replay.save(http, &done);
                    answer = Some(done);
                }
            }
        } else {
            let connection = step["conn"].as_str().unwrap_or("main");
            let statements: Vec<&str> = match &step["sql"] {
                Json::String(text) => vec![text],
                Json::Array(list) => list.iter().filter_map(Json::as_str).collect(),
                _ => panic!("{step}"),
            };
            if step["tx"] == true {
                replay.database.together(&statements).await;
            } else {
                for statement in statements {
                    // Told here and not there, it would shift every position behind it.
                    if !statement.contains("set v=v") {
                        replay.database.run(connection, statement).await;
                    }
                }
            }
            replay.database.settled().await;
        }
        answers.push(answer);
    }
    answers
}

/// `timed`: whether it is compared what was held, and what answered at once.
async fn replayed(name: &str, mut replay: Replay, timed: bool) -> Outcome {
    let recording = recording(name);
    let answers = answers(&recording, &mut replay).await;
    let steps = recording["steps"].as_array().expect("steps");
    fn handled(step: &Json) -> Option<&str> {
        step["expect"]["headers"]["electric-handle"].as_str()
    }
    let all: Vec<_> = answers
        .iter()
        .zip(steps)
        .filter_map(|(answer, step)| Some((answer.as_ref()?, handled(step))))
        .collect();
    let names = Names::of(&all);
    let mut booleans = BTreeSet::new();
    for step in steps {
        let schema = step["expect"]["headers"]["electric-schema"].as_object();
        for (name, column) in schema.into_iter().flatten() {
            if column["type"] == "bool" && column["dims"].is_null() {
                booleans.insert(name.clone());
            }
        }
    }
    let mut outcome = Outcome {
        exchanges: 0,
        same: 0,
        different: Vec::new(),
    };
    for (i, (step, answer)) in steps.iter().zip(&answers).enumerate() {
        if step["expect"].is_null() {
            continue;
        }
        outcome.exchanges += 1;
        let answer = answer.as_ref().expect("an exchange has an answer");
        let wanted = comparable(&step["expect"], &booleans);
        let got = comparable(&names.normalised(answer), &booleans);
        let mut differences: BTreeMap<String, (Json, Json)> = BTreeMap::new();
        for part in ["status", "body", "body_text", "sse", "sse_end"] {
            if wanted[part] != got[part] {
                differences.insert(part.into(), (wanted[part].clone(), got[part].clone()));
            }
        }
        let empty = serde_json::Map::new();
        let headers = |json: &Json| json["headers"].as_object().unwrap_or(&empty).clone();
        let (wanted, got) = (headers(&wanted), headers(&got));
        for name in wanted.keys().chain(got.keys()) {
            if wanted.get(name) != got.get(name) {
                let of =
                    |h: &serde_json::Map<String, Json>| h.get(name).cloned().unwrap_or_default();
                differences.insert(name.clone(), (of(&wanted), of(&got)));
            }
        }
        // Held there is held here, and what was answered at once is.
        let theirs = step["ms"].as_u64().unwrap_or(0);
        if timed && (theirs >= 1000) != (answer.millis >= 1000) {
            let both = (theirs.into(), answer.millis.into());
            differences.insert("held".into(), both);
        }
        if differences.is_empty() {
            outcome.same += 1;
        } else {
            let text: Vec<String> = differences
                .iter()
                .map(|(part, (wanted, got))| format!("{part}: recorded {wanted}, got {got}"))
                .collect();
            outcome.different.push((i, text.join("\n")));
        }
    }
    outcome
}

#[track_caller]
fn check(all: &[Otherwise], name: &str, outcome: &Outcome, same: usize, exchanges: usize) {
    let purpose = all.iter().filter(|o| o.scenario == name);
    for Otherwise { step, why, .. } in purpose.clone() {
        println!("{name}, step {step}, differs on purpose: {why}");
    }
    let expected: Vec<usize> = purpose.map(|o| o.step).collect();
    let got: Vec<usize> = outcome.different.iter().map(|(step, _)| *step).collect();
    let unexpected: Vec<_> = outcome
        .different
        .iter()
        .filter(|(step, _)| !expected.contains(step))
        .collect();
    for (step, text) in &unexpected {
        eprintln!("{name}, step {step}:\n{text}\n");
    }
    assert_eq!(got, expected, "{name}: the exchanges that differ");
    assert_eq!(
        (outcome.same, outcome.exchanges),
        (same, exchanges),
        "{name}: same, of all"
    );
}

macro_rules! scenarios {
    ($($test:ident $name:literal $same:literal of $all:literal;)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                let outcome = replayed($name, Replay::in_memory(), true).await;
                check(OTHERWISE, $name, &outcome, $same, $all);
            }
        )*

        #[test]
        fn every_recording_is_replayed() {
            let mut names: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces"))
                .expect("the recordings are in the tree")
                .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
                .collect();
            names.sort();
            // A process that restarts has lost its tables in memory.
            assert_eq!(names.pop().as_deref(), Some("32-restart.json"));
            assert_eq!(names, [$(concat!($name, ".json")),*]);
            let (same, all) = ([$($same),*].iter().sum::<usize>(), [$($all),*].iter().sum::<usize>());
            assert_eq!((same, all, OTHERWISE.len()), (TOTAL.0, TOTAL.1, TOTAL.1 - TOTAL.0));
        }
    };
}

/// The same as recorded, of all.
const TOTAL: (usize, usize) = (336, 370);

scenarios! {
    an_empty_table "01-empty-table" 4 of 4;
    types "02-types" 5 of 5;
    live_changes "03-live-iud" 8 of 8;
    transactions "04-multi-change-tx" 8 of 8;
    columns "06-columns" 9 of 9;
    replica_full "07-replica-full" 10 of 10;
    keys "08-keys" 17 of 19;
    offsets "10-offsets" 24 of 24;
    truncate "11-truncate" 8 of 10;
    delete "12-delete" 14 of 16;
    altered_tables "13-schema-change" 17 of 23;
    errors "15-errors" 45 of 45;
    http "16-http" 17 of 18;
    events "17-sse" 10 of 11;
    long_events "18-sse-long" 3 of 3;
    subsets "19-subset" 31 of 32;
    open_transaction "21-open-transaction" 6 of 6;
    no_op_and_toast "22-noop-and-toast" 12 of 12;
    relations "24-relations" 6 of 13;
    identity "25-shape-identity" 15 of 15;
    clauses "26-where-language" 61 of 64;
    subquery "28-subquery" 0 of 5;
    secret "29-secret" 6 of 10;
}
