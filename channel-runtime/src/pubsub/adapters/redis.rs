use std::sync::Arc;

use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, TlsCertificates, Value,
    aio::MultiplexedConnection,
};

use super::{adapter, crypto, tls};
use crate::pubsub::{
    ClusterConfig, ClusterOptions, StartError,
    broker::{Broker, BrokerConnection, Driver, DriverError, Incoming, Kind, Outgoing},
};

/// PubSub over Redis or Valkey.
///
/// Needs Redis 6 or any Valkey, one server or one with replicas and a fixed address. Each node
/// holds two connections. Uses `PUBLISH`, `SUBSCRIBE` and `UNSUBSCRIBE`, on channels that begin
/// with the [namespace](ClusterOptions::namespace) and a colon.
///
/// ```no_run
/// use channel_runtime::{Endpoint, pubsub::Redis};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
/// let endpoint = Endpoint::builder().pubsub(redis).build()?;
/// # Ok(())
/// # }
/// ```
pub struct Redis(Broker);

adapter!(Redis);

impl Redis {
    /// Connects to `redis://[[user]:password@]host[:port]`, or to `rediss://…` with TLS.
    ///
    /// # Errors
    ///
    /// A [`StartError`] when the URL is malformed, when the credentials are wrong, or when no
    /// server answers within 5 seconds.
    pub async fn connect(url: &str) -> Result<Self, StartError> {
        Redis::connect_with(url, ClusterOptions::new()).await
    }

    /// Connects with these options.
    ///
    /// # Errors
    ///
    /// As [`Redis::connect`], or when an option is invalid.
    pub async fn connect_with(url: &str, options: ClusterOptions) -> Result<Self, StartError> {
        let driver = RedisDriver::new(url, &options)?;
        Ok(Redis(Broker::connect(KIND, driver, options).await?))
    }

    /// Connects as configured in a file.
    ///
    /// # Errors
    ///
    /// As [`Redis::connect_with`], or when keys of the configuration conflict.
    pub async fn from_config(config: ClusterConfig) -> Result<Self, StartError> {
        let url = config.url.clone();
        Redis::connect_with(&url, config.try_into()?).await
    }

    /// Connects in the background and keeps trying: the endpoint serves its own clients until Redis
    /// is available. Wrong credentials show up only in the log and in
    /// [`Endpoint::health`](crate::Endpoint::health).
    ///
    /// # Errors
    ///
    /// A [`StartError`] when the URL is malformed, or an option is invalid.
    pub fn lazy(url: &str, options: ClusterOptions) -> Result<Self, StartError> {
        let driver = RedisDriver::new(url, &options)?;
        Ok(Redis(Broker::lazy(KIND, driver, options)?))
    }
}

const KIND: Kind = Kind {
    name: "Redis",
    naming: |namespace, kind, key| format!("{namespace}:{kind}:{key}").into(),
};

struct RedisDriver {
    info: ConnectionInfo,
    options: ClusterOptions,
}

impl RedisDriver {
    fn new(url: &str, options: &ClusterOptions) -> Result<Self, StartError> {
        crypto();
        // The URL may hold a password, so it is not repeated.
        let info = url.into_connection_info().map_err(|error| {
            StartError::new(format!("not a Redis URL: {error}")).with_source(error)
        })?;
        if options.login.is_some() {
            return Err(StartError::new(
                "credentials files and NKeys are NATS'; Redis takes user and password in the URL",
            ));
        }
        let settings = info.redis_settings().clone();
        let settings = settings.set_protocol(ProtocolVersion::RESP3);
        let driver = RedisDriver {
            info: info.set_redis_settings(settings),
            options: options.clone(),
        };
        driver.client()?;
        Ok(driver)
    }

    /// Returns a client that uses the current contents of the certificate files.
    fn client(&self) -> Result<Client, StartError> {
        let files = tls::read(&self.options)?;
        let info = self.info.clone();
        let client = match files.roots.is_none() && files.client.is_none() {
            true => Client::open(info),
            false => Client::build_with_tls(
                info,
                TlsCertificates {
                    client_tls: files
                        .client
                        .map(|(client_cert, client_key)| ClientTlsConfig {
                            client_cert,
                            client_key,
                        }),
                    root_cert: files.roots,
                },
            ),
        };
        client.map_err(|error| {
            StartError::new(format!("not a Redis URL: {error}")).with_source(error)
        })
    }

    /// Opens a connection without the client crate's deadlines; the broker has its own.
    async fn open(
        client: &Client,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, DriverError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |info| {
                push(info);
                Ok::<_, redis::aio::SendError>(())
            });
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        connection.await.map_err(|error| match error.code() {
            Some(code @ ("NOAUTH" | "WRONGPASS")) => {
                super::credentials(super::IN_URL, code.to_owned(), error)
            }
            _ => error.into(),
        })
    }
}

impl Driver for RedisDriver {
    type BrokerConnection = RedisLink;

    fn address(&self) -> String {
        let address = self.info.addr();
        let has_tls = matches!(address, ConnectionAddr::TcpTls { .. });
        super::place(address, has_tls)
    }

    async fn connect(&self, incoming: Incoming) -> Result<RedisLink, DriverError> {
        let (client, ends) = (self.client()?, incoming.clone());
        let publisher = RedisDriver::open(&client, move |info| {
            if info.kind == PushKind::Disconnection {
                ends.closed("the connection that publishes has ended");
            }
        });
        let publisher = publisher.await?;
        // The task that reads messages also delivers them: there is no queue in between, and a slow
        // node reads slowly.
        let subscriber = RedisDriver::open(&client, move |info| receive(&incoming, info)).await?;
        Ok(RedisLink {
            publisher,
            subscriber,
        })
    }
}

fn receive(incoming: &Incoming, info: PushInfo) {
    match info.kind {
        PushKind::Message => {
            let mut data = info.data.into_iter();
            if let (Some(Value::BulkString(channel)), Some(Value::BulkString(body))) =
                (data.next(), data.next())
                && let Ok(channel) = std::str::from_utf8(&channel)
            {
                incoming.message(channel, Bytes::from(body));
            }
        }
        PushKind::Disconnection => incoming.closed("the connection that subscribes has ended"),
        _ => {}
    }
}

struct RedisLink {
    publisher: MultiplexedConnection,
    subscriber: MultiplexedConnection,
}

impl BrokerConnection for RedisLink {
    async fn publish(
        &self,
        batch: &[Outgoing],
    ) -> Result<Vec<Result<(), DriverError>>, DriverError> {
        let mut pipeline = redis::pipe();
        for Outgoing { channel, body } in batch {
            pipeline.cmd("PUBLISH").arg(&**channel).arg(&body[..]);
        }
        let outcomes: Vec<redis::RedisResult<i64>> = pipeline
            .ignore_errors()
            .query_async(&mut self.publisher.clone())
            .await?;
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.map(drop).map_err(DriverError::from))
            .collect())
    }

    async fn subscribe(&self, channels: &[Arc<str>]) -> Result<(), DriverError> {
        let channels: Vec<&str> = channels.iter().map(|channel| &**channel).collect();
        Ok(self.subscriber.clone().subscribe(channels).await?)
    }

    async fn unsubscribe(&self, channels: &[Arc<str>]) -> Result<(), DriverError> {
        let channels: Vec<&str> = channels.iter().map(|channel| &**channel).collect();
        Ok(self.subscriber.clone().unsubscribe(channels).await?)
    }
}
