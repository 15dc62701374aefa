use std::{
    collections::HashMap,
    fmt::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError, Subscriber,
};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::{sync::DropGuard, task::AbortOnDropHandle};

use super::{adapter, crypto, tls};
use crate::pubsub::{
    ClusterConfig, ClusterOptions, StartError,
    broker::{
        Broker, BrokerConnection, Driver, DriverError, Incoming, Kind, Login, Outgoing, unique,
    },
};

/// PubSub over NATS.
///
/// Each node holds one connection. Uses subjects that begin with the
/// [namespace](ClusterOptions::namespace) and a dot; a user with restricted permissions needs
/// `<namespace>.>` for both publishing and subscribing. A broadcast may be as large as the server
/// allows: its `max_payload` is 1 MiB unless configured.
///
/// ```no_run
/// use channel_runtime::{Endpoint, pubsub::Nats};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let nats = Nats::connect("nats://127.0.0.1:4222").await?;
/// let endpoint = Endpoint::builder().pubsub(nats).build()?;
/// # Ok(())
/// # }
/// ```
pub struct Nats(Broker);

adapter!(Nats);

impl Nats {
    /// Connects to `nats://[user:password@|token@]host[:port]`, or to `tls://…`; several servers
    /// of one cluster are separated by commas.
    ///
    /// # Errors
    ///
    /// A [`StartError`] when the URL is malformed, when the credentials are wrong, or when no
    /// server answers within 5 seconds.
    pub async fn connect(url: &str) -> Result<Self, StartError> {
        Nats::connect_with(url, ClusterOptions::new()).await
    }

    /// Connects with these options.
    ///
    /// # Errors
    ///
    /// As [`Nats::connect`], or when an option is invalid.
    pub async fn connect_with(url: &str, options: ClusterOptions) -> Result<Self, StartError> {
        let driver = NatsDriver::new(url, &options)?;
        Ok(Nats(Broker::connect(KIND, driver, options).await?))
    }

    /// Connects as configured in a file.
    ///
    /// # Errors
    ///
    /// As [`Nats::connect_with`], or when keys of the configuration conflict.
    pub async fn from_config(config: ClusterConfig) -> Result<Self, StartError> {
        let url = config.url.clone();
        Nats::connect_with(&url, config.try_into()?).await
    }

    /// Connects in the background and keeps trying: the endpoint serves its own clients until NATS
    /// is available. Wrong credentials show up only in the log and in
    /// [`Endpoint::health`](crate::Endpoint::health).
    ///
    /// # Errors
    ///
    /// A [`StartError`] when the URL is malformed, or an option is invalid.
    pub fn lazy(url: &str, options: ClusterOptions) -> Result<Self, StartError> {
        let driver = NatsDriver::new(url, &options)?;
        Ok(Nats(Broker::lazy(KIND, driver, options)?))
    }
}

const KIND: Kind = Kind {
    name: "NATS",
    naming: subject,
};

/// The length of the longest key that is kept as it is, in bytes. A server takes 4096 bytes for a
/// subject and the rest of its line, and closes a connection that sends more.
const LONGEST_KEY: usize = 256;

/// Returns the subject of a key. A key may be any text, but a subject may not: bytes that a subject
/// cannot hold are written as `=` and the byte in hexadecimal. A long key is hashed; if two keys
/// share a hash, a node receives both and delivers by the topic in the message itself.
fn subject(namespace: &str, kind: &str, key: &str) -> Arc<str> {
    let mut subject = format!("{namespace}.{kind}.");
    if key.len() > LONGEST_KEY {
        // Writing to a String cannot fail.
        let _infallible = write!(subject, "=={:032x}", fnv(key.as_bytes()));
    } else if key.is_empty() {
        subject.push('=');
    }
    let plain = if key.len() > LONGEST_KEY { "" } else { key };
    for byte in plain.bytes() {
        if byte.is_ascii_alphanumeric() || b":-_/@+".contains(&byte) {
            subject.push(char::from(byte));
        } else {
            let _infallible = write!(subject, "={byte:02x}");
        }
    }
    subject.into()
}

/// Returns the FNV-1a hash, which is the same on every node and with every compiler.
fn fnv(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

struct NatsDriver {
    /// The servers without credentials, because the client crate logs its arguments.
    servers: Vec<ServerAddr>,
    user: Option<User>,
    options: ClusterOptions,
}

/// The user named by the URL. Has no `Debug`, so that it cannot be logged.
enum User {
    Password(String, String),
    Token(String),
}

impl User {
    fn of(server: &ServerAddr) -> Option<Self> {
        let user = decoded(server.username()?);
        Some(match server.password().map(decoded) {
            Some(password) => User::Password(user, password),
            None => User::Token(user),
        })
    }
}

impl NatsDriver {
    fn new(url: &str, options: &ClusterOptions) -> Result<Self, StartError> {
        crypto();
        let (mut servers, mut user) = (Vec::new(), None);
        for url in url.split(',') {
            let server = address(url.trim())?;
            user = user.or_else(|| User::of(&server));
            let (scheme, host, port) = (server.scheme(), server.host(), server.port());
            let host = match host.contains(':') {
                true => format!("[{host}]"),
                false => host.to_owned(),
            };
            servers.push(address(&format!("{scheme}://{host}:{port}"))?);
        }
        if user.is_some() && options.login.is_some() {
            return Err(StartError::new(
                "the URL has a user or a token, and the options have a credentials file or an \
                 NKey: one of them is enough",
            ));
        }
        let driver = NatsDriver {
            servers,
            user,
            options: options.clone(),
        };
        driver.login(driver.tls(ConnectOptions::new())?)?;
        Ok(driver)
    }

    /// Returns the options of the client crate. The broker has its own deadlines and reconnects on
    /// its own, so the client must not do that as well.
    fn connect_options(
        &self,
        incoming: Incoming,
        fence: Arc<str>,
    ) -> Result<ConnectOptions, StartError> {
        let options = ConnectOptions::new()
            .name("channel")
            .connection_timeout(self.options.timeout)
            .max_reconnects(self.servers.len())
            .subscription_capacity(8192)
            .event_callback(move |event| {
                match event {
                    Event::Disconnected => incoming.closed("the connection has ended"),
                    Event::Closed => incoming.closed("the connection is closed"),
                    Event::SlowConsumer(_) => incoming.overrun(),
                    Event::ServerError(error) if is_forbidden(&error, &fence) => {
                        incoming.closed(error);
                    }
                    Event::ServerError(error) => incoming.trouble(error),
                    _ => {}
                }
                std::future::ready(())
            });
        self.login(self.tls(options)?)
    }

    /// Adds TLS to the options. The client crate reads the files itself, after they have been
    /// checked.
    fn tls(&self, mut options: ConnectOptions) -> Result<ConnectOptions, StartError> {
        tls::read(&self.options)?;
        if let Some(file) = &self.options.root_certificates {
            options = options
                .add_root_certificates(file.clone())
                .require_tls(true);
        }
        if let Some((certificate, key)) = &self.options.client_certificate {
            options = options
                .add_client_certificate(certificate.clone(), key.clone())
                .require_tls(true);
        }
        Ok(options)
    }

    fn login(&self, options: ConnectOptions) -> Result<ConnectOptions, StartError> {
        let text = |file: &Path| {
            let bytes = super::read(file)?;
            String::from_utf8(bytes).map_err(|_| wrong(file, "is no text"))
        };
        match (&self.user, &self.options.login) {
            (Some(User::Password(user, password)), _) => {
                Ok(options.user_and_password(user.clone(), password.clone()))
            }
            (Some(User::Token(token)), _) => Ok(options.token(token.clone())),
            (None, Some(Login::Credentials(file))) => {
                let credentials = options.credentials(&text(file)?);
                credentials
                    .map_err(|error| wrong(file, &format!("is no credentials file: {error}")))
            }
            (None, Some(Login::NKeyFile(file))) => {
                let seed = text(file)?;
                check_seed(&seed).map_err(|what| wrong(file, what))?;
                Ok(options.nkey(seed.trim().to_owned()))
            }
            (None, Some(Login::NKey(seed))) => {
                check_seed(&seed.0)
                    .map_err(|what| StartError::new(format!("the given NKey {what}")))?;
                Ok(options.nkey(seed.0.trim().to_owned()))
            }
            (None, None) => Ok(options),
        }
    }
}

/// Parses a server's address. The URL may hold a password, so no error repeats it.
fn address(url: &str) -> Result<ServerAddr, StartError> {
    let server: ServerAddr = url
        .parse()
        .map_err(|error| StartError::new(format!("not a NATS URL: {error}")).with_source(error))?;
    match server.host().is_empty() {
        true => Err(StartError::new("not a NATS URL: it names no host")),
        false => Ok(server),
    }
}

/// Checks an NKey seed. The error says what is wrong, but never repeats the seed.
fn check_seed(seed: &str) -> Result<(), &'static str> {
    let key = nkeys::KeyPair::from_seed(seed.trim()).map_err(|_| "holds no NKey seed")?;
    match key.key_pair_type() {
        nkeys::KeyPairType::User => Ok(()),
        _ => Err("holds an NKey seed that is no user's: those begin with SU"),
    }
}

fn wrong(file: &Path, what: &str) -> StartError {
    StartError::new(format!("{} {what}", file.display()))
}

/// Returns true if the user may not subscribe, or may not publish what a link itself needs, so that
/// this link can never work.
fn is_forbidden(error: &ServerError, fence: &str) -> bool {
    let ServerError::Other(text) = error else {
        return false;
    };
    let lower = text.to_ascii_lowercase();
    lower.contains("permissions violation")
        && (lower.contains("subscription") || text.contains(fence))
}

/// Decodes percent-encoded text of a URL.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

impl Driver for NatsDriver {
    type BrokerConnection = NatsLink;

    fn address(&self) -> String {
        let servers = self.servers.iter();
        let servers = servers.map(|server| {
            let address = format!("{}:{}", server.host(), server.port());
            super::place(address, server.tls_required())
        });
        servers.collect::<Vec<_>>().join(", ")
    }

    async fn connect(&self, incoming: Incoming) -> Result<NatsLink, DriverError> {
        let fence = subject(&self.options.namespace, "fence", &unique());
        let options = self.connect_options(incoming.clone(), fence.clone())?;
        let client = options.connect(self.servers.clone()).await;
        let client = client.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation => {
                let given = match self.options.login {
                    Some(Login::Credentials(_)) => "the user of the credentials file",
                    Some(_) => "the user of the NKey",
                    None => super::IN_URL,
                };
                super::credentials(given, "authorization violation".to_owned(), error)
            }
            _ => error.into(),
        })?;
        let mut fences = client.subscribe(fence.to_string()).await?;
        let passed = watch::Sender::new(0);
        let passing = passed.clone();
        let fences = tokio::spawn(async move {
            while let Some(message) = fences.next().await {
                let number = message.payload.first_chunk().copied();
                passing.send_replace(number.map(u64::from_be_bytes).unwrap_or_default());
            }
        });
        Ok(NatsLink {
            client,
            incoming,
            fence,
            next_fence: AtomicU64::new(1),
            passed,
            _fences: AbortOnDropHandle::new(fences),
            readers: Mutex::default(),
        })
    }
}

struct NatsLink {
    client: Client,
    incoming: Incoming,
    /// A subject of this connection alone. The server handles the commands of one connection in
    /// order, so when a message on this subject comes back, all earlier commands are done.
    fence: Arc<str>,
    next_fence: AtomicU64,
    passed: watch::Sender<u64>,
    _fences: AbortOnDropHandle<()>,
    readers: Mutex<HashMap<Arc<str>, Reader>>,
}

/// Reads one subscription. Once dropped, it delivers nothing more, even if a message is about to be
/// delivered.
struct Reader {
    _over: DropGuard,
    _task: AbortOnDropHandle<()>,
}

impl NatsLink {
    /// Completes when the server has handled all earlier commands.
    async fn fence(&self) -> Result<(), DriverError> {
        let number = self.next_fence.fetch_add(1, Ordering::Relaxed);
        let mut passed = self.passed.subscribe();
        let body = number.to_be_bytes().to_vec().into();
        self.client.publish(self.fence.to_string(), body).await?;
        passed.wait_for(|passed| *passed >= number).await?;
        Ok(())
    }

    /// Starts a reader for one subject, which delivers its messages in order.
    fn read(&self, channel: &Arc<str>, mut messages: Subscriber) -> Reader {
        let ((incoming, over), channel) = (self.incoming.of_subscription(), channel.clone());
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                incoming.message(&channel, message.payload);
            }
        });
        Reader {
            _over: over,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

impl BrokerConnection for NatsLink {
    async fn publish(
        &self,
        batch: &[Outgoing],
    ) -> Result<Vec<Result<(), DriverError>>, DriverError> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for Outgoing { channel, body } in batch {
            let sent = self.client.publish(channel.to_string(), body.clone()).await;
            outcomes.push(sent.map_err(DriverError::from));
        }
        self.fence().await?;
        Ok(outcomes)
    }

    async fn subscribe(&self, channels: &[Arc<str>]) -> Result<(), DriverError> {
        for channel in channels {
            let known = self.readers.lock().contains_key(channel);
            if !known {
                let messages = self.client.subscribe(channel.to_string()).await?;
                let reader = self.read(channel, messages);
                self.readers.lock().insert(channel.clone(), reader);
            }
        }
        self.fence().await
    }

    async fn unsubscribe(&self, channels: &[Arc<str>]) -> Result<(), DriverError> {
        let mut readers = self.readers.lock();
        channels.iter().for_each(|channel| {
            // Dropping a reader drops its subscription, which tells the server.
            readers.remove(channel);
        });
        Ok(())
    }

    fn max_message(&self) -> Option<usize> {
        Some(self.client.max_payload())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_topic_becomes_a_subject_that_can_be_read() {
        assert_eq!(
            &*subject("app", "topic", "room:lobby"),
            "app.topic.room:lobby"
        );
        assert_eq!(
            &*subject("app", "topic", "a.b *>"),
            "app.topic.a=2eb=20=2a=3e"
        );
        assert_eq!(&*subject("app", "topic", ""), "app.topic.=");
    }

    proptest! {
        #[test]
        fn properties_every_topic_is_a_subject_of_its_own(one in ".{0,300}", two in ".{0,300}") {
            let subjects = [&one, &two].map(|topic| subject("app", "topic", topic));
            for subject in &subjects {
                prop_assert!(subject.len() < 1024);
                let key = subject.strip_prefix("app.topic.").unwrap();
                prop_assert!(!key.is_empty());
                prop_assert!(!key.contains(['.', '*', '>']));
                prop_assert!(key.chars().all(|c| c.is_ascii_graphic()));
            }
            prop_assert_eq!(one == two, subjects[0] == subjects[1]);
        }
    }
}
