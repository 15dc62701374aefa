use serde::Deserialize;

#[cfg(feature = "serve")]
use crate::options::ServeOptions;
#[cfg(feature = "uploads")]
use crate::options::UploadOptions;
use crate::{endpoint::DrainOptions, telemetry::FilterParameters};

/// What holds for all sockets of an endpoint, as a configuration file has it: for
/// [`EndpointBuilder::config`](crate::EndpointBuilder::config). Keys that are none are refused.
///
/// ```
/// use channel_runtime::{Endpoint, EndpointConfig, SocketConfig, prelude::*};
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
///     socket: SocketConfig,
/// }
///
/// let file = r#"{
///     "endpoint": {"url": "https://example.com", "max_connections": 50000},
///     "socket": {"max_channels": 20}
/// }"#;
/// let config: Config = serde_json::from_str(file)?;
/// let endpoint = Endpoint::builder()
///     .config(config.endpoint)
///     .socket_from::<UserSocket>(config.socket)
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
    #[cfg(feature = "uploads")]
    pub uploads: Option<UploadOptions>,
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
