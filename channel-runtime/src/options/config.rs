//! The options in the form of a configuration file: units in the names, unknown keys refused.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Unexpected, Visitor, value::SeqAccessDeserializer},
};
use tracing::Level;

#[cfg(feature = "long-poll")]
use super::LongPollOptions;
#[cfg(feature = "token")]
use crate::session::CookieSession;

use super::{SocketOptions, socket::MAX_TIMEOUT};
use crate::{
    connection::{ConnectInfoKey, SlowConsumer},
    error::ConfigError,
    origin::CheckOrigin,
    protocol::{Serializers, V1, V2},
    telemetry::LogLevel,
};

/// [`SocketOptions`] in the form of a configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConfigFile {
    path: String,
    timeout_ms: Option<u64>,
    max_frame_size_bytes: Option<usize>,
    max_message_size_bytes: Option<usize>,
    max_channels: Option<usize>,
    mailbox_messages: Option<usize>,
    mailbox_bytes: Option<usize>,
    mailbox_wait_ms: Option<u64>,
    outbox_frames: Option<usize>,
    outbox_bytes: Option<usize>,
    slow_consumer: Option<SlowConsumer>,
    serializers: Option<BTreeMap<String, SerializerName>>,
    websocket: Option<bool>,
    #[serde(deserialize_with = "log_level")]
    transport_log: Option<LogLevel>,
    check_origin: Option<CheckOrigin>,
    subprotocols: Option<Vec<String>>,
    auth_token: Option<bool>,
    #[cfg(feature = "token")]
    session: Option<CookieSession>,
    #[cfg(feature = "long-poll")]
    long_poll: Option<LongPollOptions>,
    connect_info: Option<Vec<ConnectInfoKey>>,
}

impl Default for ConfigFile {
    fn default() -> Self {
        ConfigFile {
            path: "/socket".to_owned(),
            timeout_ms: None,
            max_frame_size_bytes: None,
            max_message_size_bytes: None,
            max_channels: None,
            mailbox_messages: None,
            mailbox_bytes: None,
            mailbox_wait_ms: None,
            outbox_frames: None,
            outbox_bytes: None,
            slow_consumer: None,
            serializers: None,
            websocket: None,
            transport_log: None,
            check_origin: None,
            subprotocols: None,
            auth_token: None,
            connect_info: None,
            #[cfg(feature = "token")]
            session: None,
            #[cfg(feature = "long-poll")]
            long_poll: None,
        }
    }
}

/// A built-in serializer, by its name in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SerializerName {
    /// [`V1`].
    V1,
    /// [`V2`].
    V2,
}

impl TryFrom<ConfigFile> for SocketOptions {
    type Error = ConfigError;

    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the key which cannot work.
    fn try_from(config: ConfigFile) -> Result<Self, ConfigError> {
        config.check()?;
        let mut options = SocketOptions::new(config.path);
        set(
            &mut options.timeout,
            config.timeout_ms.map(Duration::from_millis),
        );
        set(&mut options.max_frame_size, config.max_frame_size_bytes);
        set(&mut options.max_message_size, config.max_message_size_bytes);
        set(&mut options.max_channels, config.max_channels);
        set(&mut options.mailbox_messages, config.mailbox_messages);
        set(&mut options.mailbox_bytes, config.mailbox_bytes);
        set(
            &mut options.mailbox_wait,
            config.mailbox_wait_ms.map(Duration::from_millis),
        );
        set(&mut options.outbox_frames, config.outbox_frames);
        set(&mut options.outbox_bytes, config.outbox_bytes);
        set(&mut options.slow_consumer, config.slow_consumer);
        let serializers = config.serializers.map(serializers).transpose()?;
        set(&mut options.serializers, serializers);
        set(&mut options.websocket, config.websocket);
        set(&mut options.transport_log, config.transport_log);
        set(&mut options.check_origin, config.check_origin);
        set(&mut options.subprotocols, config.subprotocols);
        set(&mut options.auth_token, config.auth_token);
        set(&mut options.connect_info, config.connect_info);
        #[cfg(feature = "token")]
        {
            options.session = config.session;
        }
        #[cfg(feature = "long-poll")]
        {
            options.long_poll = config.long_poll;
        }
        options.prepare()?;
        Ok(options)
    }
}

impl ConfigFile {
    /// Checks the keys that have other names in the options.
    fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("timeout_ms", self.timeout_ms == Some(0)),
            ("max_frame_size_bytes", self.max_frame_size_bytes == Some(0)),
            (
                "max_message_size_bytes",
                self.max_message_size_bytes == Some(0),
            ),
        ];
        if let Some((key, _)) = limits.into_iter().find(|(_, zero)| *zero) {
            return Err(ConfigError::Zero(key));
        }
        let times = [
            ("timeout_ms", self.timeout_ms),
            ("mailbox_wait_ms", self.mailbox_wait_ms),
        ];
        let too_long = |ms: Option<u64>| ms.map(Duration::from_millis) > Some(MAX_TIMEOUT);
        match times.into_iter().find(|(_, ms)| too_long(*ms)) {
            Some((key, _)) => Err(ConfigError::TooLong(key)),
            None => Ok(()),
        }
    }
}

fn set<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}

fn serializers(names: BTreeMap<String, SerializerName>) -> Result<Serializers, ConfigError> {
    let mut serializers = Serializers::none();
    for (versions, name) in names {
        let versions = versions.parse().map_err(ConfigError::Versions)?;
        serializers = match name {
            SerializerName::V1 => serializers.with(versions, V1),
            SerializerName::V2 => serializers.with(versions, V2),
        };
    }
    Ok(serializers)
}

fn log_level<'de, D: Deserializer<'de>>(from: D) -> Result<Option<LogLevel>, D::Error> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let name = String::deserialize(from)?;
    let level = match name.as_str() {
        "off" => return Ok(Some(LogLevel::Off)),
        "error" => Level::ERROR,
        "warn" => Level::WARN,
        "info" => Level::INFO,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        _ => return Err(D::Error::unknown_variant(&name, &LEVELS)),
    };
    Ok(Some(LogLevel::At(level)))
}

/// Accepts `true`, `false`, `"conn"` or a list.
impl<'de> Deserialize<'de> for CheckOrigin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Origins)
    }
}

/// Reads the `check_origin` key.
struct Origins;

impl<'de> Visitor<'de> for Origins {
    type Value = CheckOrigin;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, `false`, \"conn\" or a list of origins")
    }

    fn visit_bool<E>(self, on: bool) -> Result<CheckOrigin, E> {
        Ok(match on {
            true => CheckOrigin::host(),
            false => CheckOrigin::off(),
        })
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<CheckOrigin, E> {
        match name {
            "conn" => Ok(CheckOrigin::connection()),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<CheckOrigin, A::Error> {
        let origins = Vec::<String>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(CheckOrigin::list(origins))
    }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
