use serde::Deserialize;

use crate::{
    endpoint::{DrainOptions, Extensions},
    error::ConfigError,
    telemetry::FilterParameters,
};
#[cfg(feature = "serve")]
use crate::{options::ServeOptions, serve::ServeLimits};

/// The options for all sockets of an endpoint, as read from a configuration file: for
/// [`EndpointBuilder::config`](crate::EndpointBuilder::config). Unknown keys are rejected.
///
/// ```
/// use channel_runtime::{Endpoint, EndpointConfig, SocketOptions, prelude::*};
/// # struct UserSocket;
/// # #[socket(channels = [Room])]
/// # impl UserSocket {
/// #     #[connect]
/// #     fn connect() -> Self { UserSocket }
/// # }
/// # struct Room;
/// # #[channel("room:*", socket = UserSocket)]
/// # impl Room {
/// #     #[join]
/// #     fn join() -> Self { Room }
/// # }
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     endpoint: EndpointConfig,
///     socket: SocketOptions,
/// }
///
/// let file = r#"{
///     "endpoint": {"url": "https://example.com", "max_connections": 50000},
///     "socket": {"max_channels": 20}
/// }"#;
/// let config: Config = serde_json::from_str(file)?;
/// let endpoint = Endpoint::builder()
///     .config(config.endpoint)
///     .socket::<UserSocket>(config.socket)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// See [`EndpointBuilder::url`](crate::EndpointBuilder::url).
    pub url: Option<String>,
    /// See [`EndpointBuilder::max_connections`](crate::EndpointBuilder::max_connections).
    pub max_connections: Option<usize>,
    /// See [`EndpointBuilder::mailbox_bytes`](crate::EndpointBuilder::mailbox_bytes).
    pub mailbox_bytes: Option<usize>,
    /// See [`EndpointBuilder::outbox_bytes`](crate::EndpointBuilder::outbox_bytes).
    pub outbox_bytes: Option<usize>,
    /// See [`EndpointBuilder::receive_bytes`](crate::EndpointBuilder::receive_bytes).
    pub receive_bytes: Option<usize>,
    /// See [`EndpointBuilder::drainer`](crate::EndpointBuilder::drainer).
    pub drainer: Option<DrainOptions>,
    /// `["iban"]`, `{"also": ["iban"]}` or `{"keep": ["room"]}`: see [`FilterParameters`].
    pub filter_parameters: Option<FilterParameters>,
    /// See [`EndpointBuilder::serve_options`](crate::EndpointBuilder::serve_options):
    /// `{"idle_timeout_ms": 75000}`.
    #[cfg(feature = "serve")]
    pub serve: Option<ServeOptions>,
    /// See [`EndpointBuilder::upload_options`](crate::EndpointBuilder::upload_options):
    /// `{"max_open": 2000}`.
    #[cfg(feature = "upload")]
    pub uploads: Option<crate::upload::UploadOptions>,
}

impl EndpointConfig {
    /// Returns these keys, with missing ones taken from `other`.
    pub(super) fn or(self, other: Self) -> Self {
        EndpointConfig {
            url: self.url.or(other.url),
            max_connections: self.max_connections.or(other.max_connections),
            mailbox_bytes: self.mailbox_bytes.or(other.mailbox_bytes),
            outbox_bytes: self.outbox_bytes.or(other.outbox_bytes),
            receive_bytes: self.receive_bytes.or(other.receive_bytes),
            drainer: self.drainer.or(other.drainer),
            filter_parameters: self.filter_parameters.or(other.filter_parameters),
            #[cfg(feature = "serve")]
            serve: self.serve.or(other.serve),
            #[cfg(feature = "upload")]
            uploads: self.uploads.or(other.uploads),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, limit) in [
            ("max_connections", self.max_connections),
            ("mailbox_bytes", self.mailbox_bytes),
            ("outbox_bytes", self.outbox_bytes),
            ("receive_bytes", self.receive_bytes),
        ] {
            if limit == Some(0) {
                return Err(ConfigError::Zero(key));
            }
        }
        self.drainer.as_ref().map_or(Ok(()), DrainOptions::check)
    }

    /// Passes the options of the layers above on to them.
    pub(super) fn install(&self, extensions: &Extensions) -> Result<(), ConfigError> {
        if let Some(drainer) = &self.drainer {
            extensions.insert(drainer.clone());
        }
        #[cfg(feature = "serve")]
        if let Some(serve) = &self.serve {
            serve.check()?;
            extensions.insert(ServeLimits::new(serve.clone()));
        }
        #[cfg(feature = "upload")]
        if let Some(uploads) = &self.uploads {
            uploads.install(extensions)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_all_clients_have_keys_of_their_own() {
        let file = r#"{"mailbox_bytes": 1, "outbox_bytes": 2, "receive_bytes": 3}"#;
        let config: EndpointConfig = serde_json::from_str(file).unwrap();
        let limits = (
            config.mailbox_bytes,
            config.outbox_bytes,
            config.receive_bytes,
        );
        assert_eq!(limits, (Some(1), Some(2), Some(3)));
        for limit in ["mailbox_bytes", "outbox_bytes", "receive_bytes"] {
            let config = serde_json::from_str(&format!(r#"{{"{limit}": 0}}"#)).unwrap();
            let error = crate::Endpoint::builder()
                .config(config)
                .build()
                .unwrap_err();
            assert!(error.to_string().contains(limit), "{error}");
        }
    }
}
