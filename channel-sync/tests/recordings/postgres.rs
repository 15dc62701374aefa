//! The recordings over PostgreSQL.

use super::cluster::{Cluster, shared};
use super::*;
use channel_sync::{PostgresConfig, PostgresSource};
use tokio_postgres::Client;

/// A database of its own, and what follows it.
pub(crate) struct Tables {
    pub(crate) name: String,
    cluster: &'static Cluster,
    clients: HashMap<String, Client>,
    syncs: Vec<Sync>,
}

impl Tables {
    pub(crate) async fn new() -> Tables {
        let cluster = shared();
        Tables {
            name: cluster.database().await,
            cluster,
            clients: HashMap::new(),
            syncs: Vec::new(),
        }
    }

    pub(crate) fn options(&self) -> PostgresConfig {
        let url = self.cluster.url("postgres", &self.name);
        PostgresConfig::new(&url).expect("a URL").slot(&format!(
            "{}_{}",
            self.name,
            self.syncs.len()
        ))
    }

    pub(crate) async fn sync(&mut self, config: Config) -> Sync {
        let options = self.options();
        self.sync_with(config, options).await
    }

    pub(crate) async fn sync_with(&mut self, config: Config, options: PostgresConfig) -> Sync {
        let source = PostgresSource::connect(options).await;
        let sync = Sync::new(source.expect("it connects"), config);
        self.syncs.push(sync.clone());
        sync
    }

    pub(crate) async fn client(&mut self, connection: &str) -> &Client {
        if !self.clients.contains_key(connection) {
            let client = self.cluster.client(&self.name).await;
            self.clients.insert(connection.into(), client);
        }
        &self.clients[connection]
    }

    pub(crate) async fn run(&mut self, connection: &str, text: &str) {
        let client = self.client(connection).await;
        client
            .batch_execute(text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }

    pub(crate) async fn together(&mut self, statements: &[&str]) {
        self.run("main", &format!("begin; {}; commit", statements.join("; ")))
            .await;
    }

    pub(crate) async fn settled(&self) {
        let client = self.cluster.client(&self.name).await;
        let sql = "SELECT (pg_current_wal_lsn() - '0/0')::text";
        let row = client.query_one(sql, &[]).await.expect("a position");
        let end: u64 = row.get::<_, &str>(0).parse().expect("a number");
        for sync in &self.syncs {
            loop {
                let source = sync.health().await.source;
                // Of a server that was not asked yet, nothing is read.
                if !source.connected || source.stored >= Some(end) {
                    break;
                }
                sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

async fn replay() -> Replay {
    let mut tables = Tables::new().await;
    // Without periodic checks, the answers do not depend on when the catalogue is read.
    let options = tables.options().catalogue_check(Duration::from_secs(3600));
    let a = tables.sync_with(config(), options).await.open_api();
    let b = tables.sync(config_b()).await.open_api();
    Replay::new(a, b, super::Tables::Postgres(tables))
}

const UNFIT: &str =
    "a table that can be no shape is the client's mistake, rather than an error of the server";

const OTHERWISE: &[Otherwise] = &[
    otherwise("08-keys", 21, SAME_KEY),
    otherwise("08-keys", 25, SAME_KEY),
    otherwise("11-truncate", 5, NEW_HANDLE),
    otherwise("11-truncate", 6, NEW_HANDLE),
    otherwise("12-delete", 5, NEW_HANDLE),
    otherwise("12-delete", 6, NEW_HANDLE),
    otherwise("13-schema-change", 6, NEW_HANDLE),
    otherwise("13-schema-change", 8, NEW_HANDLE),
    otherwise("13-schema-change", 38, AT_ONCE),
    otherwise("13-schema-change", 39, AT_ONCE),
    otherwise("16-http", 1, PREFLIGHT),
    otherwise("17-sse", 8, STAYS_OPEN),
    otherwise("19-subset", 17, JSON_DETAILS),
    otherwise("24-relations", 4, SAME_KEY),
    otherwise("24-relations", 6, SAME_KEY),
    otherwise("24-relations", 15, NO_CATALOGUE),
    otherwise("24-relations", 16, UNFIT),
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

macro_rules! scenarios {
    ($($test:ident $name:literal $same:literal of $all:literal;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                let outcome = replayed($name, replay().await, false).await;
                check(OTHERWISE, $name, &outcome, $same, $all);
            }
        )*

        #[test]
        fn every_recording_is_replayed_but_the_longest() {
            let (same, all) = ([$($same),*].iter().sum::<usize>(), [$($all),*].iter().sum::<usize>());
            // A minute of events, which no source has a part in, and a restart.
            assert_eq!(all, super::TOTAL.1 - 3);
            assert_eq!(OTHERWISE.len(), all - same);
        }
    };
}

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
    altered_tables "13-schema-change" 19 of 23;
    errors "15-errors" 45 of 45;
    http "16-http" 17 of 18;
    events "17-sse" 10 of 11;
    subsets "19-subset" 31 of 32;
    open_transaction "21-open-transaction" 6 of 6;
    no_op_and_toast "22-noop-and-toast" 12 of 12;
    relations "24-relations" 9 of 13;
    identity "25-shape-identity" 15 of 15;
    clauses "26-where-language" 61 of 64;
    subquery "28-subquery" 0 of 5;
    secret "29-secret" 6 of 10;
}
