//! How a database is reached, and what is made in it.

use std::str::FromStr;
use std::time::Duration;

/// Options of a [`PostgresSource`](crate::PostgresSource).
///
/// ```
/// use channel_sync::PostgresConfig;
/// let config = PostgresConfig::new("postgres://app@localhost/app")?.slot("app_sync");
/// # Ok::<(), channel_sync::PostgresError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    pub(super) database: tokio_postgres::Config,
    pub(super) slot: String,
    pub(super) publication: String,
    pub(super) connections: usize,
    pub(super) catalogue_check: Duration,
    pub(super) patience: Duration,
}

impl PostgresConfig {
    /// The database of a URL, or of the key-value form that libpq reads.
    ///
    /// # Errors
    ///
    /// The text is neither, names no user or no host, or asks for TLS.
    pub fn new(url: &str) -> Result<PostgresConfig, super::PostgresError> {
        use super::PostgresError::Url;
        let database = tokio_postgres::Config::from_str(url).map_err(|e| Url(e.to_string()))?;
        if database.get_user().is_none() {
            return Err(Url("it names no user".into()));
        }
        if database.get_hosts().is_empty() {
            return Err(Url("it names no host".into()));
        }
        if database.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
            return Err(Url(
                "TLS is not there yet: sslmode=require cannot be kept".into()
            ));
        }
        Ok(PostgresConfig {
            database,
            slot: "channel_sync".into(),
            publication: "channel_sync".into(),
            connections: 20,
            catalogue_check: Duration::from_secs(1),
            patience: Duration::from_secs(25),
        })
    }

    /// The replication slot: `channel_sync`. Each process needs one of its own. It is made when
    /// changes are first read, and changes that an earlier process left in it are discarded.
    ///
    /// A name has 1 to 63 lower-case letters, digits and underscores, as PostgreSQL wants it; with
    /// another one, [`PostgresSource::connect`](crate::PostgresSource::connect) is an error.
    #[must_use]
    pub fn slot(mut self, name: &str) -> PostgresConfig {
        self.slot = name.into();
        self
    }

    pub(super) fn check(&self) -> Result<(), super::PostgresError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let name = &self.slot;
        if (1..=63).contains(&name.len()) && name.bytes().all(fits) {
            return Ok(());
        }
        Err(super::PostgresError::Slot(name.clone()))
    }

    /// The publication: `channel_sync`. It is made if it is not there; processes may share one.
    #[must_use]
    pub fn publication(mut self, name: &str) -> PostgresConfig {
        self.publication = name.into();
        self
    }

    /// Connections for snapshots, subsets and the catalogue, beside the one that replicates: 20.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> PostgresConfig {
        self.connections = connections.max(2);
        self
    }

    /// How often the catalogue is asked whether tables of shapes were dropped, altered or unpublished
    /// without a change of their rows: each second.
    #[must_use]
    pub fn catalogue_check(mut self, period: Duration) -> PostgresConfig {
        self.catalogue_check = period.max(Duration::from_millis(10));
        self
    }

    /// How long a first shape of a table waits for locks, and for transactions that write to the table
    /// since before it was published: 25 seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> PostgresConfig {
        self.patience = patience;
        self
    }
}

/// Settings of every session: a value has the same text in snapshot and stream, and a name means
/// the object of the system catalogue.
pub(super) const OPTIONS: &str = "-c bytea_output=hex -c DateStyle=ISO,DMY -c TimeZone=UTC \
     -c IntervalStyle=iso_8601 -c extra_float_digits=1 -c search_path=pg_catalog \
     -c standard_conforming_strings=on -c statement_timeout=0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_slot_is_one_that_postgres_takes() {
        let config = |slot: &str| PostgresConfig::new("postgres://a@b/c").unwrap().slot(slot);
        assert_eq!(
            config("app_sync_2").check().map_err(|e| e.to_string()),
            Ok(())
        );
        for slot in ["", "App", "a-b", "a b", &"a".repeat(64)] {
            let error = config(slot).check().unwrap_err().to_string();
            assert!(error.contains(&format!("{slot:?}")), "{error}");
        }
    }
}
