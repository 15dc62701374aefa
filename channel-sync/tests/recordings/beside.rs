//! Tests deliberate differences from the recordings, and cases that they do not have.

use super::{config, exchange, settled};
use crate::norm::Answer;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use channel_sync::{Config, MemorySource, Sync, Table, Type};
use serde_json::Value as Json;
use std::time::Duration;
use tokio::time::Instant;

pub(crate) struct Server {
    pub(crate) source: MemorySource,
    pub(crate) router: Router,
}

impl Server {
    /// A table `t(id int primary key, v text)` with rows 1 and 2.
    async fn start(config: Config) -> Server {
        let source = MemorySource::new();
        let table = Table::new("public", "t")
            .column("id", Type::Int4)
            .column("v", Type::Text)
            .primary_key(["id"]);
        source.create(table).await.expect("it is created");
        let mut tx = source.begin();
        for id in ["1", "2"] {
            tx.insert("t", [("id", Some(id)), ("v", Some("a"))])
                .expect("a row");
        }
        tx.commit().await.expect("it commits");
        let router = Sync::new(source.clone(), config).open_api();
        Server { source, router }
    }

    async fn get(&self, query: &str) -> Answer {
        let uri = format!("/v1/shape?table=t&{query}");
        let request = Request::get(uri).body(Body::empty()).expect("a request");
        exchange(self.router.clone(), request, None).await
    }

    /// The handle and the offset of a client that is up to date.
    async fn current(&self, query: &str) -> (String, String) {
        let first = self.get(&format!("offset=-1{query}")).await;
        let handle = first.headers["electric-handle"].clone();
        let mut offset = first.headers["electric-offset"].clone();
        loop {
            let next = self
                .get(&format!("offset={offset}&handle={handle}{query}"))
                .await;
            offset = next.headers["electric-offset"].clone();
            if next.headers.contains_key("electric-up-to-date") {
                return (handle, offset);
            }
        }
    }

    async fn set(&self, id: &str, v: Option<&str>) -> u64 {
        let mut tx = self.source.begin();
        tx.update("t", "id = $1", &[id], [("v", v)])
            .expect("a table");
        let xid = tx.commit().await.expect("it commits");
        settled().await;
        xid
    }
}

fn messages(answer: &Answer) -> Vec<Json> {
    serde_json::from_str(&answer.body).expect("a list of messages")
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_is_told_with_its_transaction() {
    let server = Server::start(config()).await;
    let (handle, offset) = server.current("").await;
    let xid = server.set("1", Some("a")).await;
    let answer = server
        .get(&format!("offset={offset}&handle={handle}&live=true"))
        .await;
    let messages = messages(&answer);
    assert_eq!(messages[0]["value"], serde_json::json!({ "id": "1" }));
    assert_eq!(messages[0]["headers"]["txids"], serde_json::json!([xid]));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_whose_shape_ended_is_told_the_new_handle() {
    let server = Server::start(config()).await;
    let (handle, offset) = server.current("").await;
    let live = format!("offset={offset}&handle={handle}&live=true");
    let truncate = async {
        settled().await;
        let mut tx = server.source.begin();
        tx.truncate("t").expect("a table");
        tx.commit().await.expect("it commits");
    };
    let (answer, ()) = tokio::join!(server.get(&live), truncate);
    assert_eq!(answer.status, 409);
    let new = &answer.headers["electric-handle"];
    assert_ne!(*new, handle);
    assert_eq!(*new, server.current("").await.0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_stays_open_after_its_backlog() {
    let server = Server::start(config()).await;
    let (handle, offset) = server.current("").await;
    server.set("1", Some("b")).await;
    let uri = format!("/v1/shape?table=t&offset={offset}&handle={handle}&live=true&live_sse=true");
    let request = Request::get(uri).body(Body::empty()).expect("a request");
    let change = async {
        settled().await;
        server.set("2", Some("c")).await;
    };
    let stream = exchange(server.router.clone(), request, Some(Duration::from_secs(5)));
    let (answer, ()) = tokio::join!(stream, change);
    let (events, closed) = answer.events.expect("events");
    assert!(!closed);
    let told: Vec<_> = events
        .iter()
        .filter_map(|e| e["value"]["v"].as_str())
        .collect();
    assert_eq!(told, ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_goes_on_from_the_position_that_a_stream_told_though_its_shape_has_nothing_there()
{
    let server = Server::start(config()).await;
    let clause = "&where=id%3D1";
    let (handle, offset) = server.current(clause).await;
    server.set("2", Some("of no concern")).await;
    let answer = server
        .get(&format!("offset={offset}&handle={handle}{clause}"))
        .await;
    let told = messages(&answer).pop().expect("that it is up to date");
    let lsn = told["headers"]["global_last_seen_lsn"]
        .as_str()
        .expect("a position")
        .to_owned();
    let change = async {
        settled().await;
        server.set("1", Some("b")).await;
    };
    let live = format!("offset={lsn}_0&handle={handle}{clause}&live=true");
    let (answer, ()) = tokio::join!(server.get(&live), change);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(messages(&answer)[0]["value"]["v"], "b");
}

#[tokio::test(start_paused = true)]
async fn the_key_of_a_row_is_the_same_in_snapshot_and_stream() {
    let source = MemorySource::new();
    let table = Table::new("public", "a.b/\"c")
        .column("k", Type::Text)
        .primary_key(["k"]);
    source.create(table).await.expect("it is created");
    let router = Sync::new(source.clone(), config()).open_api();
    let get = |query: String| {
        let uri = format!("/v1/shape?table=%22a.b/%22%22c%22&{query}");
        exchange(
            router.clone(),
            Request::get(uri).body(Body::empty()).expect("a request"),
            None,
        )
    };
    let first = get("offset=-1".into()).await;
    let mut tx = source.begin();
    tx.insert("\"a.b/\"\"c\"", [("k", Some("x"))])
        .expect("a table");
    tx.commit().await.expect("it commits");
    settled().await;
    let handle = &first.headers["electric-handle"];
    let streamed = messages(&get(format!("offset=0_0&handle={handle}")).await);
    let again = get("offset=-1&columns=k".into()).await;
    assert_eq!(streamed[0]["key"], messages(&again)[0]["key"]);
}

#[test]
fn what_is_measured_is_what_is_described() {
    use metrics_util::debugging::DebuggingRecorder;
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    let work = async {
        channel_sync::describe_metrics();
        let server = Server::start(config()).await;
        let (handle, offset) = server.current("").await;
        server.set("1", Some("b")).await;
        let live = format!("offset={offset}&handle={handle}&live=true");
        server.get(&live).await;
        server.source.drop_table("t").await.expect("it is dropped");
        settled().await;
        let gone = server.get(&live).await;
        assert_eq!(gone.status, 400);
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    let mut of = std::collections::HashMap::new();
    for (key, unit, text, _) in seen.snapshot().into_vec() {
        let name = key.key().name().to_owned();
        assert!(unit.is_some() && text.is_some(), "{name} is described");
        of.insert(name, ());
    }
    for name in [
        "shapes",
        "log_bytes",
        "shapes_made_total",
        "snapshot_seconds",
        "shapes_ended_total",
        "transactions_total",
    ] {
        assert!(
            of.contains_key(&format!("sync_{name}")),
            "{name} is measured"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_table_is_noticed_at_once() {
    let server = Server::start(config()).await;
    let (handle, offset) = server.current("").await;
    let live = format!("offset={offset}&handle={handle}&live=true");
    let drop = async {
        settled().await;
        server.source.drop_table("t").await.expect("it is dropped");
    };
    let (answer, ()) = tokio::join!(server.get(&live), drop);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("does not exist"));
}

#[tokio::test(start_paused = true)]
async fn what_moves_in_and_out_of_a_clause_is_an_insert_and_a_delete() {
    let server = Server::start(config()).await;
    let clause = "&where=v%20%3D%20%27in%27";
    let (handle, offset) = server.current(clause).await;
    for v in [Some("in"), Some("out"), Some("in"), None] {
        server.set("1", v).await;
    }
    let answer = server
        .get(&format!("offset={offset}&handle={handle}{clause}"))
        .await;
    let told: Vec<String> = messages(&answer)
        .iter()
        .filter_map(|m| m["headers"]["operation"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(told, ["insert", "delete", "insert", "delete"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_full_ends_and_its_clients_begin_again() {
    let server = Server::start(config().max_shape_bytes(3_000)).await;
    let (handle, offset) = server.current("").await;
    for i in 0..20 {
        server
            .set("1", Some(&format!("{i}-{}", "x".repeat(100))))
            .await;
    }
    let answer = server
        .get(&format!("offset={offset}&handle={handle}"))
        .await;
    assert_eq!(answer.status, 409);
    assert_ne!(answer.headers["electric-handle"], handle);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_too_large_is_refused_and_others_go_on() {
    let server = Server::start(config().max_shape_bytes(150)).await;
    assert_eq!(server.get("offset=-1").await.status, 503);
    assert_eq!(server.get("offset=-1&where=id%3D1").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_shape_that_was_not_asked_for_for_longest_makes_room() {
    let server = Server::start(config().max_shapes(2)).await;
    let (first, offset) = server.current("&where=id%3D1").await;
    let (second, _) = server.current("&where=id%3D2").await;
    let (first_again, _) = server.current("&where=id%3D1").await;
    assert_eq!(first, first_again);
    server.current("&where=id%3D3").await;
    let asked = |id: u32, handle: &str| format!("offset={offset}&handle={handle}&where=id%3D{id}");
    assert_eq!(server.get(&asked(1, &first)).await.status, 200);
    assert_eq!(server.get(&asked(2, &second)).await.status, 409);
}

#[tokio::test(start_paused = true)]
async fn a_clause_without_a_value_ends_its_shape_alone() {
    let server = Server::start(config()).await;
    let bad = "&where=1%20%2F%20(id%20-%203)%20%3C%205";
    let (handle, offset) = server.current(bad).await;
    let (other, other_offset) = server.current("").await;
    let mut tx = server.source.begin();
    tx.insert("t", [("id", Some("3"))]).expect("a table");
    tx.commit().await.expect("it commits");
    settled().await;
    let answer = server
        .get(&format!("offset={offset}&handle={handle}{bad}"))
        .await;
    assert_eq!(answer.status, 409);
    let answer = server.get(&format!("offset=-1{bad}")).await;
    assert_eq!(
        (answer.status, answer.body.contains("division by zero")),
        (400, true)
    );
    let answer = server
        .get(&format!("offset={other_offset}&handle={other}"))
        .await;
    assert_eq!(messages(&answer)[0]["value"]["id"], "3");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_refused() {
    let server = Server::start(config()).await;
    let body = Body::from(vec![b' '; 2 * 1024 * 1024]);
    let request = Request::post("/v1/shape?table=t&offset=-1")
        .body(body)
        .expect("a request");
    assert_eq!(
        exchange(server.router.clone(), request, None).await.status,
        413
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_json_is_refused_without_a_word_of_the_parser() {
    let server = Server::start(config()).await;
    let request = Request::post("/v1/shape?table=t&offset=-1")
        .body(Body::from(r#"{"where": broken}"#))
        .expect("a request");
    let answer = exchange(server.router.clone(), request, None).await;
    assert_eq!(answer.status, 400);
    let expected = r#"{"details":"it is not JSON","error":"Invalid JSON in request body"}"#;
    assert_eq!(answer.body, expected);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_refused_leaves_nothing() {
    let server = Server::start(config()).await;
    let (handle, offset) = server.current("").await;
    let mut tx = server.source.begin();
    tx.insert("t", [("id", Some("9")), ("v", None)])
        .expect("a table");
    tx.delete("t", "id = 1", &[]).expect("a table");
    tx.update("t", "id = 2", &[], [("v", Some("z"))])
        .expect("a table");
    tx.insert("t", [("id", Some("9")), ("v", None)])
        .expect("a table");
    let error = tx.commit().await.expect_err("the key is there twice");
    assert!(error.to_string().contains("exists"), "{error}");
    settled().await;
    let start = Instant::now();
    let answer = server
        .get(&format!("offset={offset}&handle={handle}&live=true"))
        .await;
    assert_eq!(start.elapsed().as_millis(), 3000);
    assert_eq!(messages(&answer).len(), 1);
    let subset = server.get("offset=-1&subset__where=true").await;
    let body: Json = serde_json::from_str(&subset.body).expect("JSON");
    let rows = body["data"].as_array().expect("rows").iter();
    assert_eq!(
        rows.map(|row| row["value"]["v"].as_str())
            .collect::<Vec<_>>(),
        [Some("a"); 2]
    );
}

/// Writers beside clients that read snapshots and logs, with other interleavings each time: each
/// client's rows are the table's in the end.
#[tokio::test(start_paused = true)]
async fn rows_that_are_read_while_writers_write_are_the_tables_in_the_end() {
    for seed in 0..40u64 {
        let server = Server::start(config().chunk_bytes(300)).await;
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move |most: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % most
        };
        let server = &server;
        let clauses = ["", "&where=id%20%3C%2020", "&where=v%20%3D%20%27even%27"];
        let writers = async {
            for _ in 0..60 {
                let id = next(40).to_string();
                let v = if next(2) == 0 { "even" } else { "odd" };
                let mut tx = server.source.begin();
                match next(4) {
                    0 => tx.delete("t", "id = $1", &[&id]).expect("a table"),
                    1 => tx
                        .update("t", "id = $1", &[&id], [("v", Some(v))])
                        .expect("a table"),
                    _ => tx
                        .insert("t", [("id", Some(&*id)), ("v", Some(v))])
                        .expect("a table"),
                }
                // Of an id that is there already, the insert is refused.
                let _ = tx.commit().await;
                for _ in 0..next(3) {
                    tokio::task::yield_now().await;
                }
            }
            settled().await;
        };
        let clients = futures_util::future::join_all(clauses.map(|clause| async move {
            let mut rows = std::collections::BTreeMap::new();
            let mut query = format!("offset=-1{clause}");
            for round in 0.. {
                let answer = server.get(&query).await;
                for message in messages(&answer) {
                    let key = message["key"].as_str().unwrap_or("").to_owned();
                    match message["headers"]["operation"].as_str() {
                        Some("insert") => {
                            let old = rows.insert(key, message["value"]["v"].clone());
                            assert_eq!(old, None, "no row comes twice");
                        }
                        Some("update") => {
                            let row = rows.get_mut(&key).expect("a row that is there");
                            if message["value"].get("v").is_some() {
                                *row = message["value"]["v"].clone();
                            }
                        }
                        Some("delete") => {
                            rows.remove(&key).expect("a row that is there");
                        }
                        _ => {}
                    }
                }
                let (h, o) = (
                    &answer.headers["electric-handle"],
                    &answer.headers["electric-offset"],
                );
                let up_to_date = answer.headers.contains_key("electric-up-to-date");
                // The last round begins when all is written: it waits for nothing.
                if up_to_date && answer.headers["electric-has-data"] == "false" && round > 0 {
                    return rows;
                }
                let live = if up_to_date { "&live=true" } else { "" };
                query = format!("offset={o}&handle={h}{clause}{live}");
            }
            rows
        }));
        let (all, ()) = tokio::join!(clients, writers);
        for (clause, rows) in clauses.iter().zip(all) {
            let body = server
                .get(&format!("offset=-1{clause}&subset__where=true"))
                .await
                .body;
            let body: Json = serde_json::from_str(&body).expect("JSON");
            let table: std::collections::BTreeMap<String, Json> = body["data"]
                .as_array()
                .expect("rows")
                .iter()
                .map(|m| {
                    (
                        m["key"].as_str().expect("a key").to_owned(),
                        m["value"]["v"].clone(),
                    )
                })
                .collect();
            assert_eq!(rows, table, "seed {seed}, {clause}");
        }
    }
}
