//! Checks that the database can be a source, and explains why not, before it is used.

use super::PostgresError;
use super::config::PostgresConfig;
use super::error::{has_code, words};
use super::slot;
use crate::table::quote_identifier;
use deadpool_postgres::{Pool, PoolError};
use tokio_postgres::error::SqlState;

/// The first versions that remember, for a transaction that is open, in which publications a table is.
const REMEMBERS: [(i32, i32); 5] = [(13, 21), (14, 18), (15, 13), (16, 9), (17, 5)];

const SERVER: &str = "
SELECT current_setting('server_version_num')::int4 AS number, current_setting('server_version') AS version,
       current_setting('wal_level') AS wal_level, current_user::text AS role,
       current_database()::text AS database,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS replicates";

const PUBLICATION: &str = "
SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AND NOT pubviaroot AS whole,
       pg_has_role(pubowner, 'USAGE') AS owned
  FROM pg_publication WHERE pubname = $1";

/// Checks the server, the role and the publication. Returns true if tables have to be published
/// under a lock, because the server lacks a bug fix.
pub(super) async fn check(pool: &Pool, config: &PostgresConfig) -> Result<bool, PostgresError> {
    let client = pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => PostgresError::Connect(words(&error)),
        other => PostgresError::Connect(other.to_string()),
    })?;
    let refused = |e: tokio_postgres::Error| PostgresError::Refused(words(&e));
    let server = client.query_one(SERVER, &[]).await.map_err(refused)?;
    let number: i32 = server.get("number");
    if number < 140_000 {
        return Err(PostgresError::Version(server.get("version")));
    }
    let level: &str = server.get("wal_level");
    if level != "logical" {
        return Err(PostgresError::WalLevel(level.into()));
    }
    let role = quote_identifier(server.get("role"));
    let publication = quote_identifier(&config.publication);
    if server.get::<_, Option<bool>>("replicates") != Some(true) {
        // Providers give the right by roles of their own: then the connection shows it.
        tracing::info!(
            role,
            "the role has no REPLICATION of its own, which the stream of changes needs: if the provider gives it \
             by no other role, ALTER ROLE {role} REPLICATION;"
        );
    }
    replicates(config, &role).await?;
    let missing = || PostgresError::NoPublication {
        publication: publication.clone(),
        database: quote_identifier(server.get("database")),
        role: role.clone(),
    };
    match slot::publication(&**client, &config.publication).await {
        Ok(_) => {}
        Err(e) if has_code(&e, &SqlState::INSUFFICIENT_PRIVILEGE) => return Err(missing()),
        Err(e) => return Err(refused(e)),
    }
    let row = client
        .query_opt(PUBLICATION, &[&config.publication])
        .await
        .map_err(refused)?;
    let row = row.ok_or_else(missing)?;
    if !row.get::<_, bool>("whole") {
        return Err(PostgresError::Publication(publication));
    }
    if !row.get::<_, bool>("owned") {
        tracing::info!(
            publication,
            "the role does not own the publication, so it adds no tables: their owner does it by \
             ALTER TABLE … REPLICA IDENTITY FULL; ALTER PUBLICATION {publication} ADD TABLE …;"
        );
    }
    let (major, minor) = (number / 10_000, number % 10_000);
    let old = REMEMBERS
        .iter()
        .any(|(of, from)| *of == major && minor < *from);
    if old {
        tracing::warn!(
            version = server.get::<_, &str>("version"),
            "this version of PostgreSQL can lose changes of tables that are published while they are written: \
             they are published under a lock, which waits for writers; the latest minor version needs none"
        );
    }
    Ok(old)
}

/// Opens a replication connection, which shows what no catalogue does: rights by a provider's
/// roles, and the server's rules of who connects from where.
async fn replicates(config: &PostgresConfig, role: &str) -> Result<(), PostgresError> {
    let identified = async { super::stream::gated(config).await?.identify_system().await };
    match identified.await {
        Ok(_) => Ok(()),
        Err(pgwire_replication::PgWireError::Server(cause)) => Err(PostgresError::Replication {
            role: role.into(),
            cause,
        }),
        Err(error) => Err(PostgresError::Connect(error.to_string())),
    }
}
