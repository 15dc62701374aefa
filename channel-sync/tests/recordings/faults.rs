//! Tests faults between a server and its database, and the rows that clients end up with.

use super::cluster::{Cluster, End, shared};
use super::config;
use super::follower::{Follower, GUARD};
use super::postgres::Tables;
use axum::Router;
use channel_sync::{
    Change, Event, PostgresConfig, PostgresError, PostgresSource, RelationName, Source, Sync,
};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

/// A database with a table `f(id int primary key, v text)`, and what follows it.
struct World {
    tables: Tables,
    router: Router,
}

impl World {
    async fn new() -> World {
        let mut tables = Tables::new().await;
        tables
            .run("main", "create table f(id int primary key, v text)")
            .await;
        let router = tables.sync(config()).await.open_api();
        World { tables, router }
    }

    async fn run(&mut self, sql: &str) {
        self.tables.run("main", sql).await;
    }

    async fn follow(&self, shape: &str) -> Follower {
        let mut follower = Follower::new(&self.router, shape);
        follower.current().await;
        follower
    }

    fn slot(&self) -> String {
        format!("{}_0", self.tables.name)
    }
}

#[tokio::test]
async fn a_writer_that_is_open_while_a_table_is_added_is_waited_for_and_holds_up_nobody() {
    let mut world = World::new().await;
    // A shape of another table: the slot is made before the writer begins, else that waits for it.
    world
        .run("create table other(id int); alter table f replica identity full")
        .await;
    world.follow("table=other").await;
    world
        .tables
        .run("a", "begin; insert into f values (1,'before')")
        .await;
    let mut follower = Follower::new(&world.router, "table=f");
    let writers = async {
        // The table is published by now, and its first writer is waited for.
        let client = shared().client(&world.tables.name).await;
        let sql = "SELECT 1 FROM pg_publication_tables, pg_stat_activity WHERE tablename = 'f' \
                   AND datname = current_database() AND application_name = 'channel_sync' \
                   AND query LIKE '%RowExclusiveLock%'";
        while client
            .query_opt(&format!("{sql} LIMIT 1"), &[])
            .await
            .expect("an answer")
            .is_none()
        {
            sleep(Duration::from_millis(5)).await;
        }
        client
            .batch_execute("insert into f values (2,'beside')")
            .await
            .expect("it is not held up");
        world
            .tables
            .run("a", "insert into f values (3,'after'); commit")
            .await;
    };
    let both = async { tokio::join!(follower.current(), writers) };
    let both = timeout(GUARD, both).await;
    both.expect("the first writer is waited for");
    follower.until(|f| f.column("id") == ["1", "2", "3"]).await;
}

#[tokio::test]
async fn an_identity_that_somebody_changes_ends_the_shapes_and_is_set_again() {
    let mut world = World::new().await;
    world.run("insert into f values (1,'a')").await;
    let mut follower = world.follow("table=f").await;
    world
        .run("alter table f replica identity default; update f set v='b'")
        .await;
    follower
        .until(|f| f.rotations > 0 && f.column("v") == ["b"])
        .await;
    world.run("update f set v='c'").await;
    follower.until(|f| f.column("v") == ["c"]).await;
}

#[tokio::test]
async fn a_table_that_somebody_takes_out_of_the_publication_is_added_again() {
    let mut world = World::new().await;
    let mut follower = world.follow("table=f").await;
    world
        .run("alter publication channel_sync drop table f; insert into f values (1,'a')")
        .await;
    follower
        .until(|f| f.rotations > 0 && f.rows.len() == 1)
        .await;
    world.run("insert into f values (2,'b')").await;
    follower.until(|f| f.rows.len() == 2).await;
}

#[tokio::test]
async fn a_publication_or_a_slot_that_somebody_drops_ends_all_shapes() {
    for what in ["publication", "slot"] {
        let mut world = World::new().await;
        let mut follower = world.follow("table=f").await;
        let slot = world.slot();
        let drop = match what {
            "publication" => {
                "drop publication channel_sync; insert into f values (1,'lost')".to_owned()
            }
            _ => format!(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name='{slot}'"
            ),
        };
        world.run(&drop).await;
        if what == "slot" {
            let client = shared().client(&world.tables.name).await;
            let sql = format!("select pg_drop_replication_slot('{slot}')");
            // The server opens the stream again at once: it is ended until the slot is gone.
            while client.batch_execute(&sql).await.is_err() {
                client.batch_execute(&drop).await.expect("it is ended");
            }
            world.run("insert into f values (1,'lost')").await;
        }
        follower
            .until(|f| f.rotations > 0 && f.rows.len() == 1)
            .await;
        world.run("insert into f values (2,'b')").await;
        follower.until(|f| f.rows.len() == 2).await;
    }
}

/// A source whose changes are read here.
async fn source(tables: &Tables) -> (PostgresSource, Receiver<Event>) {
    let source = PostgresSource::connect(tables.options())
        .await
        .expect("it connects");
    let events = source.changes().await.expect("a stream");
    (source, events)
}

async fn cut(client: &Client, slot: &str) {
    let sql =
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name=$1";
    client.query(sql, &[&slot]).await.expect("it is ended");
}

/// A table that is published, with a shape's snapshot of nothing.
async fn published(source: &PostgresSource, name: &str) -> u32 {
    let name = RelationName::parse(name).expect("a name");
    let relation = source
        .relation(&name)
        .await
        .expect("an answer")
        .expect("a table");
    let snapshot = channel_sync::Query::position(&relation);
    source.snapshot(snapshot).await.expect("a snapshot");
    relation.id
}

#[tokio::test]
async fn a_transaction_that_is_cut_in_the_middle_comes_again_from_its_start() {
    let mut tables = Tables::new().await;
    tables
        .run("main", "create table f(id int primary key, v text)")
        .await;
    let (source, mut events) = source(&tables).await;
    let id = published(&source, "f").await;
    let rows = 60_000;
    tables
        .run(
            "main",
            &format!("insert into f select g, repeat('x', 100) from generate_series(1,{rows}) g"),
        )
        .await;
    let client = shared().client(&tables.name).await;
    let (mut seen, mut restarted, mut largest) = (0, false, 0);
    loop {
        match events.recv().await.expect("the stream goes on") {
            Event::Transaction(part) => {
                if seen == 0 && !restarted {
                    assert!(!part.complete, "it comes in parts");
                    cut(&client, &format!("{}_0", tables.name)).await;
                }
                let of = |change: &Change| matches!(change, Change::Insert { relation, .. } if *relation == id);
                assert!(part.changes.iter().all(of));
                largest = largest.max(part.changes.len());
                seen += part.changes.len();
                if part.complete {
                    source.stored(part.lsn);
                    break;
                }
            }
            Event::Restarted => (seen, restarted) = (0, true),
            other => panic!("{other:?}"),
        }
    }
    assert!(restarted, "the stream was cut before all had been read");
    assert_eq!(seen, rows);
    assert!(largest <= 1_000, "{largest} changes are in memory at once");
}

#[tokio::test]
async fn a_transaction_that_was_told_is_not_told_again_and_the_next_one_is_told() {
    let mut tables = Tables::new().await;
    let create = "create table f(id int primary key, v text)";
    tables.run("main", create).await;
    let (source, mut events) = source(&tables).await;
    published(&source, "f").await;
    let client = shared().client(&tables.name).await;
    // It is never said that the first one is stored.
    for id in 0..3 {
        let sql = format!("insert into f values ({id},'a')");
        tables.run("main", &sql).await;
        let Some(Event::Transaction(transaction)) = events.recv().await else {
            panic!("a transaction");
        };
        let [Change::Insert { new, .. }] = &transaction.changes[..] else {
            panic!("one change");
        };
        assert_eq!(new.get(0), Some(&*id.to_string()));
        cut(&client, &format!("{}_0", tables.name)).await;
    }
}

#[tokio::test]
async fn a_transaction_that_is_too_large_ends_the_shapes_it_concerns_and_no_other() {
    let mut world = World::new().await;
    let router = world
        .tables
        .sync(config().max_shape_bytes(100_000))
        .await
        .open_api();
    let mut large = Follower::new(&router, "table=f");
    let mut small = Follower::new(&router, "table=f&where=id%3D7");
    large.current().await;
    small.current().await;
    world
        .run("insert into f select g, 'x' from generate_series(1,20000) g")
        .await;
    small.until(|f| f.column("id") == ["7"]).await;
    assert_eq!(small.rotations, 0);
    large.until(|f| f.rotations == 1 || f.status == 503).await;
}

#[tokio::test]
async fn what_is_told_is_acknowledged_also_when_it_concerns_no_shape() {
    let mut world = World::new().await;
    world.follow("table=f").await;
    world
        .run("create table other(id int); insert into other values (1)")
        .await;
    world
        .run("update f set v=v; insert into f values (1,'a')")
        .await;
    world.tables.settled().await;
    let client = shared().client(&world.tables.name).await;
    let row = client
        .query_one("select pg_current_wal_lsn()::text", &[])
        .await
        .expect("a position");
    let sql = "select 1 from pg_replication_slots where slot_name=$1 and confirmed_flush_lsn >= $2::text::pg_lsn";
    let end: String = row.get(0);
    while client
        .query_opt(sql, &[&world.slot(), &end])
        .await
        .expect("an answer")
        .is_none()
    {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn rows_of_partitions_are_told_of_the_whole_and_of_the_part() {
    let mut world = World::new().await;
    world
        .run(
            "create table p(id int primary key, v text) partition by range (id);
         create table p1 partition of p for values from (0) to (10);
         create table p2(v text, id int primary key);
         alter table p attach partition p2 for values from (10) to (20);
         insert into p values (1,'a'),(11,'b')",
        )
        .await;
    let mut whole = world.follow("table=p").await;
    let mut part = world.follow("table=p2").await;
    assert_eq!(
        (whole.column("id"), part.column("id")),
        (vec!["1".into(), "11".into()], vec!["11".to_owned()])
    );
    world.run("insert into p values (2,'c'); update p set v='d' where id=11; update p set id=12 where id=2").await;
    whole.until(|f| f.column("v") == ["a", "c", "d"]).await;
    part.until(|f| f.column("id") == ["11", "12"] && f.column("v") == ["c", "d"])
        .await;
    assert_eq!((whole.rotations, part.rotations), (0, 0));
    world.run("truncate p2").await;
    whole
        .until(|f| f.rotations > 0 && f.column("id") == ["1"])
        .await;
    // A table with rows becomes a part: they are in no stream.
    world
        .run(
            "create table p3(id int primary key, v text); insert into p3 values (21,'e');
         alter table p attach partition p3 for values from (20) to (30)",
        )
        .await;
    whole.until(|f| f.column("id") == ["1", "21"]).await;
    world.run("insert into p values (22,'f')").await;
    whole.until(|f| f.column("id") == ["1", "21", "22"]).await;
}

/// A role of the cluster that the tests may take rights from.
async fn role(tables: &mut Tables, rights: &str) -> String {
    let role = format!("r_{}", tables.name);
    tables
        .run("main", &format!("create role {role} login {rights}"))
        .await;
    role
}

fn as_role(tables: &Tables, role: &str) -> PostgresConfig {
    let url = shared().url(role, &tables.name);
    PostgresConfig::new(&url)
        .expect("a URL")
        .slot(&format!("{}_r", tables.name))
}

#[tokio::test]
async fn what_a_role_lacks_is_said_with_the_statement_that_gives_it() {
    let mut tables = Tables::new().await;
    let role = role(&mut tables, "").await;
    let said = |error: PostgresError| error.to_string();
    let error = PostgresSource::connect(as_role(&tables, &role))
        .await
        .err()
        .expect("no right");
    assert!(
        said(error.clone()).contains(&format!("ALTER ROLE \"{role}\" REPLICATION;")),
        "{error}"
    );
    tables
        .run("main", &format!("alter role {role} replication"))
        .await;
    let error = PostgresSource::connect(as_role(&tables, &role))
        .await
        .err()
        .expect("no publication");
    assert!(
        said(error.clone()).contains("CREATE PUBLICATION \"channel_sync\";"),
        "{error}"
    );
    tables
        .run(
            "main",
            "create publication channel_sync with (publish = 'insert')",
        )
        .await;
    let error = PostgresSource::connect(as_role(&tables, &role))
        .await
        .err()
        .expect("changes left out");
    let sql = said(error);
    let sql = &sql[sql.find("ALTER PUBLICATION").expect("a statement")..];
    tables.run("main", sql).await;
    PostgresSource::connect(as_role(&tables, &role))
        .await
        .expect("the statement helps");
}

#[tokio::test]
async fn a_role_that_owns_nothing_serves_what_the_owner_publishes_until_it_may_not_read() {
    let mut tables = Tables::new().await;
    let role = role(&mut tables, "replication").await;
    tables.run("main", &format!(
        "create table f(id int primary key, v text); create table g(id int); create publication channel_sync;
         grant select on f, g to {role}"
    )).await;
    let source =
        PostgresSource::connect(as_role(&tables, &role).patience(Duration::from_millis(100))).await;
    let router = Sync::new(source.expect("it connects"), config()).open_api();
    let mut follower = Follower::new(&router, "table=f");
    follower.until(|f| f.status == 503).await;
    tables
        .run(
            "main",
            "alter table f replica identity full; alter publication channel_sync add table f",
        )
        .await;
    follower.current().await;
    tables.run("main", "insert into f values (1,'a')").await;
    follower.until(|f| f.rows.len() == 1).await;
    tables
        .run("main", &format!("revoke select on f from {role}"))
        .await;
    follower.until(|f| f.status == 400).await;
    tables
        .run(
            "main",
            &format!("grant select on f to {role}; insert into f values (2,'b')"),
        )
        .await;
    follower
        .until(|f| f.status == 200 && f.rows.len() == 2)
        .await;
}

#[tokio::test]
async fn tables_whose_rows_the_stream_cannot_tell_are_refused_in_words() {
    let mut world = World::new().await;
    world.run(
        "create unlogged table u(id int primary key); create view w as select 1 as id;
         create table s(id int primary key); alter table s enable row level security; alter table s force row level security",
    ).await;
    for (table, status) in [("u", 400), ("w", 400), ("pg_catalog.pg_class", 400)] {
        let mut follower = Follower::new(&world.router, &format!("table={table}"));
        follower.step().await;
        assert_eq!(follower.status, status, "{table}");
    }
    // It applies to all but those who may go around it.
    let role = role(&mut world.tables, "replication").await;
    world
        .run(&format!(
            "grant select on s to {role}; grant create on database {} to {role}",
            world.tables.name
        ))
        .await;
    let source = PostgresSource::connect(as_role(&world.tables, &role))
        .await
        .expect("it connects");
    let router = Sync::new(source, config()).open_api();
    let mut follower = Follower::new(&router, "table=s");
    follower.step().await;
    assert_eq!(follower.status, 400);
}

/// Random writers in transactions that stay open for a while, beside first shapes of the tables they
/// write: in the end each follower's rows are the table's.
#[tokio::test]
async fn rows_that_are_written_while_snapshots_are_taken_are_the_tables_in_the_end() {
    // `cargo xtask soak` says more.
    let rounds = std::env::var("SYNC_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    for seed in 0..rounds.unwrap_or(6u64) {
        let mut world = World::new().await;
        // Else the lock that sets it waits for writers, too.
        world.run("alter table f replica identity full").await;
        let (name, router) = (world.tables.name.clone(), world.router.clone());
        let writers = (0..4u64).map(|writer| {
            let name = name.clone();
            tokio::spawn(async move {
                let client = shared().client(&name).await;
                let mut random = (seed * 31 + writer + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                let mut next = move |most: u64| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random % most
                };
                for _ in 0..25 {
                    client.batch_execute("begin").await.expect("it begins");
                    for _ in 0..=next(3) {
                        let (id, v) = (writer * 1000 + next(30), next(5));
                        let sql = match next(4) {
                            0 => format!("delete from f where id={id}"),
                            1 => format!("update f set v='{v}' where id={id}"),
                            _ => format!("insert into f values ({id},'{v}') on conflict (id) do update set v='{v}'"),
                        };
                        client.batch_execute(&sql).await.expect("it is written");
                        sleep(Duration::from_millis(next(3))).await;
                    }
                    let end = if next(5) == 0 { "rollback" } else { "commit" };
                    client.batch_execute(end).await.expect("it ends");
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let shapes = [
            "table=f",
            "table=f&where=v%3D%272%27",
            "table=f&columns=id,v",
        ];
        let followers = shapes.into_iter().enumerate().map(|(i, shape)| {
            let router = router.clone();
            async move {
                sleep(Duration::from_millis(20 + 15 * i as u64)).await;
                let mut follower = Follower::new(&router, shape);
                follower.current().await;
                follower
            }
        });
        let mut followers = futures_util::future::join_all(followers).await;
        for writer in writers {
            writer.await.expect("it writes");
        }
        let client = shared().client(&name).await;
        // A last row, after which all has been told.
        client
            .batch_execute("insert into f values (-1,'2')")
            .await
            .expect("it is written");
        for (follower, clause) in followers.iter_mut().zip(["true", "v='2'", "true"]) {
            follower
                .until(|f| f.rows.keys().any(|key| key.ends_with("/\"-1\"")))
                .await;
            let sql = format!("select id::text, v from f where {clause}");
            let rows = client.query(&sql, &[]).await.expect("rows");
            let mut wanted: Vec<(String, String)> =
                rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
            let mut got: Vec<_> = follower
                .rows
                .values()
                .map(|row| (text(&row["id"]), text(&row["v"])))
                .collect();
            wanted.sort();
            got.sort();
            assert_eq!(got, wanted, "seed {seed}, {clause}");
            assert_eq!(follower.rotations, 0);
        }
    }
}

async fn connected(cluster: &Cluster, database: &str, slot: &str) -> Sync {
    let url = cluster.url("postgres", database);
    let options = PostgresConfig::new(&url).expect("a URL").slot(slot);
    Sync::new(
        PostgresSource::connect(options).await.expect("it connects"),
        config(),
    )
}

#[tokio::test]
async fn a_database_that_is_stopped_or_killed_and_started_again_goes_on_where_it_was() {
    let cluster = Cluster::start();
    let database = cluster.database().await;
    let client = cluster.client(&database).await;
    client
        .batch_execute("create table f(id int primary key, v text)")
        .await
        .expect("a table");
    let sync = connected(&cluster, &database, "kept").await;
    let router = sync.open_api();
    let mut follower = Follower::new(&router, "table=f");
    follower.current().await;
    let handle = follower.handle.clone();
    for (i, how) in [End::Fast, End::Killed].into_iter().enumerate() {
        cluster.end(how);
        while sync.health().await.source.connected {
            sleep(Duration::from_millis(10)).await;
        }
        // Stored rows are served without the database.
        let mut other = Follower::new(&router, "table=f");
        other.current().await;
        assert_eq!(other.rows.len(), i);
        cluster.again();
        let client = cluster.client(&database).await;
        let sql = format!("insert into f values ({i},'a')");
        client.batch_execute(&sql).await.expect("it is written");
        follower.until(|f| f.rows.len() == i + 1).await;
    }
    assert_eq!((follower.rotations, &follower.handle), (0, &handle));
}

#[tokio::test]
async fn a_database_that_is_set_back_ends_all_shapes() {
    let cluster = Cluster::start();
    let database = cluster.database().await;
    let client = cluster.client(&database).await;
    client
        .batch_execute("create table f(id int primary key, v text); insert into f values (1,'old')")
        .await
        .expect("a table");
    let sync = connected(&cluster, &database, "back").await;
    let mut follower = Follower::new(&sync.open_api(), "table=f");
    follower.current().await;
    cluster.end(End::Fast);
    let saved = cluster.data().with_file_name("saved");
    cluster.copy(&cluster.data(), &saved);
    cluster.again();
    let client = cluster.client(&database).await;
    client
        .batch_execute("insert into f values (2,'undone')")
        .await
        .expect("it is written");
    follower.until(|f| f.rows.len() == 2).await;
    cluster.end(End::Fast);
    std::fs::remove_dir_all(cluster.data()).expect("it is removed");
    cluster.copy(&saved, &cluster.data());
    cluster.again();
    follower
        .until(|f| f.rotations > 0 && f.column("v") == ["old"])
        .await;
}
