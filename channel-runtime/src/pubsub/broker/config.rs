//! The options as read from a configuration file: units in the names, unknown keys rejected.

use std::{fmt, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    ClusterOptions, Overflow,
    options::{Login, Secret},
};
use crate::pubsub::StartError;

/// The configuration of an adapter in any format that serde reads. For
/// [`Redis::from_config`](crate::pubsub::Redis::from_config) and
/// [`Nats::from_config`](crate::pubsub::Nats::from_config).
///
/// Each key stands for a setter of [`ClusterOptions`], which documents the limits and the default.
/// Unknown keys are rejected.
///
/// ```
/// use channel_runtime::pubsub::{ClusterConfig, ClusterOptions};
///
/// let file = r#"{
///     "url": "tls://nats.example.com",
///     "namespace": "shop",
///     "timeout_ms": 3000,
///     "root_certificates": "/etc/nats/ca.pem",
///     "client_certificate": "/etc/nats/cert.pem",
///     "client_key": "/etc/nats/key.pem",
///     "credentials_file": "/etc/nats/shop.creds"
/// }"#;
/// let config: ClusterConfig = serde_json::from_str(file)?;
/// let options = ClusterOptions::try_from(config)?.node("web-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The engine's URL, as `connect` takes it. It may hold credentials, which `Debug` leaves out.
    pub url: String,
    /// The prefix of names in the engine: letters, digits, `-` and `_`.
    pub namespace: Option<String>,
    /// This node's name, unique among the nodes.
    pub node: Option<String>,
    /// The number of broadcasts that may wait for the engine.
    pub queue_messages: Option<usize>,
    /// The size of the broadcasts that may wait for the engine, in bytes.
    pub queue_bytes: Option<usize>,
    /// [`Overflow::Wait`], in milliseconds; without it, [`Overflow::Refuse`].
    pub when_full_wait_ms: Option<u64>,
    /// The size of the largest broadcast, in bytes.
    pub max_message_bytes: Option<usize>,
    /// The time the engine may take to answer, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The time a join waits for the engine to confirm, in milliseconds.
    pub confirm_within_ms: Option<u64>,
    /// The time an unused topic stays subscribed, in milliseconds.
    pub linger_ms: Option<u64>,
    /// The interval of heartbeats, in milliseconds.
    pub heartbeat_ms: Option<u64>,
    /// The first and the longest wait before reconnecting, in milliseconds: `[50, 5000]`.
    pub backoff_ms: Option<[u64; 2]>,
    /// The file with the trusted certificates.
    pub root_certificates: Option<PathBuf>,
    /// The file with this node's certificate; needs `client_key`.
    pub client_certificate: Option<PathBuf>,
    /// The file with the certificate's key; needs `client_certificate`.
    pub client_key: Option<PathBuf>,
    /// The `.creds` file, for NATS; instead of `nkey_file` and `nkey`.
    pub credentials_file: Option<PathBuf>,
    /// The file with the seed of an NKey, for NATS.
    pub nkey_file: Option<PathBuf>,
    /// The seed of an NKey, for NATS; `Debug` leaves it out.
    pub nkey: Option<String>,
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("namespace", &self.namespace)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl TryFrom<ClusterConfig> for ClusterOptions {
    type Error = StartError;

    /// # Errors
    ///
    /// A [`StartError`] that names the keys which conflict or are incomplete. Invalid values are
    /// reported when the adapter is created.
    fn try_from(config: ClusterConfig) -> Result<Self, StartError> {
        let mut options = ClusterOptions::new();
        let millis = |millis: Option<u64>| millis.map(Duration::from_millis);
        set(&mut options.namespace, config.namespace);
        options.node = config.node;
        set(&mut options.queue_messages, config.queue_messages);
        set(&mut options.queue_bytes, config.queue_bytes);
        let wait = millis(config.when_full_wait_ms).map(Overflow::Wait);
        set(&mut options.overflow, wait);
        set(&mut options.max_message, config.max_message_bytes);
        set(&mut options.timeout, millis(config.timeout_ms));
        set(
            &mut options.subscribe_timeout,
            millis(config.confirm_within_ms),
        );
        set(&mut options.unsubscribe_delay, millis(config.linger_ms));
        set(&mut options.heartbeat, millis(config.heartbeat_ms));
        let backoff = config
            .backoff_ms
            .map(|times| times.map(Duration::from_millis));
        set(
            &mut options.backoff,
            backoff.map(<(Duration, Duration)>::from),
        );
        options.root_certificates = config.root_certificates;
        options.client_certificate = match (config.client_certificate, config.client_key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(StartError::new(
                    "`client_certificate` and `client_key` go together",
                ));
            }
        };
        let credentials = config.credentials_file.map(Login::Credentials);
        let file = config.nkey_file.map(Login::NKeyFile);
        let seed = config.nkey.map(|seed| Login::NKey(Secret(seed)));
        let mut logins = [credentials, file, seed].into_iter().flatten();
        options.login = logins.next();
        if logins.next().is_some() {
            return Err(StartError::new(
                "give one of `credentials_file`, `nkey_file` and `nkey`",
            ));
        }
        Ok(options)
    }
}

fn set<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(keys: &str) -> Result<ClusterOptions, String> {
        let text = format!("{{\"url\": \"redis://:hush@h\"{keys}}}");
        let config: ClusterConfig = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        assert!(!format!("{config:?}").contains("hush"));
        ClusterOptions::try_from(config).map_err(|e| e.to_string())
    }

    #[test]
    fn each_key_stands_for_its_setter() {
        let read = options(
            r#", "namespace": "shop", "node": "web-1", "queue_messages": 1, "queue_bytes": 2,
            "when_full_wait_ms": 3, "max_message_bytes": 4, "timeout_ms": 5,
            "confirm_within_ms": 6, "linger_ms": 7, "heartbeat_ms": 8, "backoff_ms": [9, 10],
            "root_certificates": "ca", "client_certificate": "cert", "client_key": "key",
            "nkey_file": "seed""#,
        );
        let ms = Duration::from_millis;
        let set = ClusterOptions::new()
            .namespace("shop")
            .node("web-1")
            .queue_messages(1)
            .queue_bytes(2)
            .overflow(Overflow::Wait(ms(3)))
            .max_message(4)
            .timeout(ms(5))
            .subscribe_timeout(ms(6))
            .unsubscribe_delay(ms(7))
            .heartbeat(ms(8))
            .backoff(ms(9), ms(10))
            .root_certificates("ca")
            .client_certificate("cert", "key")
            .nkey_file("seed");
        assert_eq!(format!("{:?}", read.unwrap()), format!("{set:?}"));
        let defaults = format!("{:?}", ClusterOptions::new());
        assert_eq!(format!("{:?}", options("").unwrap()), defaults);
    }

    #[test]
    fn a_seed_is_in_no_debug() {
        let options = options(r#", "nkey": "SUSECRET""#).unwrap();
        assert!(matches!(&options.login, Some(Login::NKey(seed)) if seed.0 == "SUSECRET"));
        assert!(!format!("{options:?}").contains("SECRET"));
    }

    #[test]
    fn keys_that_do_not_go_together_and_keys_that_are_none_are_named() {
        let alone = options(r#", "client_key": "key""#).unwrap_err();
        assert_eq!(alone, "`client_certificate` and `client_key` go together");
        let both = options(r#", "nkey": "SU", "credentials_file": "x""#).unwrap_err();
        assert!(both.contains("credentials_file"), "{both}");
        let unknown = options(r#", "pasword": "x""#).unwrap_err();
        assert!(unknown.contains("pasword"), "{unknown}");
    }
}
