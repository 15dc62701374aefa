//! The engines: NATS and Redis.

#[cfg(feature = "nats")]
pub(super) mod nats;
#[cfg(feature = "redis")]
pub(super) mod redis;
mod tls;

use std::{error::Error, fmt::Display, path::Path};

use super::{StartError, broker::DriverError};

/// Reads a file.
fn read(file: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(file).map_err(|error| {
        StartError::new(format!("cannot read {}: {error}", file.display())).with_source(error)
    })
}

/// Installs rustls's crypto provider. Both client crates use rustls, which needs to be told which
/// one to use where a program's dependencies bring more than one.
fn crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have installed one first.
        let _first = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Returns the error for wrong credentials, in the same words for every engine.
fn credentials(
    given: &'static str,
    code: String,
    error: impl Error + Send + Sync + 'static,
) -> DriverError {
    let error = Box::new(error);
    Box::new(Credentials { given, code, error })
}

/// The description of credentials from the URL, for error messages.
const IN_URL: &str = "the user or password in the URL";

#[derive(Debug, thiserror::Error)]
#[error("{given} is refused ({code})")]
struct Credentials {
    given: &'static str,
    code: String,
    #[source]
    error: DriverError,
}

/// Formats a server's address for messages.
fn place(address: impl Display, has_tls: bool) -> String {
    format!("{address}{}", if has_tls { " with TLS" } else { "" })
}

/// Implements `Adapter` by passing every call on to the engine.
macro_rules! adapter {
    ($name:ident) => {
        impl crate::pubsub::Adapter for $name {
            fn node(&self) -> &str {
                self.0.node()
            }

            fn start(
                &self,
                local: crate::pubsub::LocalDelivery,
            ) -> Result<(), crate::pubsub::StartError> {
                self.0.start(local)
            }

            fn broadcast(
                &self,
                topic: &crate::protocol::Topic,
                message: bytes::Bytes,
            ) -> crate::pubsub::BoxFuture<'static, Result<(), crate::pubsub::PublishError>> {
                self.0.broadcast(topic, message)
            }

            fn direct_broadcast(
                &self,
                node: &str,
                message: bytes::Bytes,
            ) -> crate::pubsub::BoxFuture<'static, Result<(), crate::pubsub::PublishError>> {
                self.0.direct_broadcast(node, message)
            }

            fn subscribe(&self, topic: &crate::protocol::Topic) {
                self.0.subscribe(topic);
            }

            fn unsubscribe(&self, topic: &crate::protocol::Topic) {
                self.0.unsubscribe(topic);
            }

            fn confirmed(
                &self,
                topic: &crate::protocol::Topic,
            ) -> Option<crate::pubsub::BoxFuture<'static, ()>> {
                self.0.confirmed(topic)
            }

            fn health(&self) -> crate::pubsub::Health {
                self.0.health()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("node", &self.0.node())
                    .finish_non_exhaustive()
            }
        }
    };
}
use adapter;
