//! Debian's PostgreSQL, in a temporary directory, on a free port.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// A server of its own. It ends when it is dropped, or when the tests' process does, however it ends.
pub(crate) struct Cluster {
    directory: TempDir,
    port: u16,
    user: Option<(u32, u32)>,
    watch: Child,
}

/// How a server is ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Fast,
    Killed,
}

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server of all tests that leave it alone.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

/// The newest of Debian's versions, or what is on the `PATH`.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.filter_map(|v| Some(v.ok()?.path())).collect();
    versions.sort();
    let found = versions.into_iter().rev().map(|v| v.join("bin").join(name));
    let mut found = found.filter(|path| path.is_file());
    found.next().unwrap_or_else(|| name.into())
}

/// PostgreSQL does not run as root: who it runs as instead.
fn other_user() -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    if id.stdout.trim_ascii() != b"0" {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("there are users");
    let find = |name: &str| {
        let mut fields = users
            .lines()
            .find(|line| line.starts_with(name))?
            .split(':')
            .skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(
        find("postgres:")
            .or_else(|| find("nobody:"))
            .expect("there is another user"),
    )
}

impl Cluster {
    pub(crate) fn start() -> Cluster {
        let directory = tempfile::tempdir().expect("a directory");
        let user = other_user();
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).expect("root may");
        }
        let data = directory.path().join("data");
        let mut initdb = command(user, "initdb", &data);
        initdb.args([
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]);
        output(initdb);
        // Its input ends with this process.
        let stop = format!(
            "read _; {} -D {} -m immediate stop; rm -rf {}",
            program("pg_ctl").display(),
            data.display(),
            directory.path().display()
        );
        let mut watch = Command::new("sh");
        watch
            .args(["-c", &stop])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        watch.process_group(0);
        as_user(&mut watch, user);
        let watch = watch.spawn().expect("sh runs");
        let port = free_port();
        let mut cluster = Cluster {
            directory,
            port,
            user,
            watch,
        };
        // Another process may take the port in between.
        for _ in 0..20 {
            if cluster.attempt() {
                return cluster;
            }
            cluster.port = free_port();
        }
        panic!("postgres does not start: {}", cluster.log());
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn attempt(&self) -> bool {
        let settings = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c wal_level=logical -c max_replication_slots=200 \
             -c max_wal_senders=200 -c max_connections=500 -c fsync=off -c max_prepared_transactions=5 \
             -c logical_decoding_work_mem=64kB -c shared_buffers=32MB -c wal_sender_timeout=20s",
            self.port,
            self.directory.path().display()
        );
        let mut start = command(self.user, "pg_ctl", &self.data());
        let log = self.directory.path().join("log");
        start
            .args(["-w", "-o", &settings, "-l"])
            .arg(log)
            .arg("start");
        start.stdout(Stdio::null()).stderr(Stdio::null());
        start.status().expect("pg_ctl runs").success()
    }

    /// Starts it again at the same port, with all that it had.
    pub(crate) fn again(&self) {
        // After a kill, its processes end one after another.
        for _ in 0..200 {
            if self.attempt() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("postgres does not start again: {}", self.log());
    }

    pub(crate) fn end(&self, how: End) {
        match how {
            End::Fast => {
                let mut stop = command(self.user, "pg_ctl", &self.data());
                stop.args(["-m", "fast", "-w", "stop"]);
                output(stop);
            }
            End::Killed => {
                let file = std::fs::read_to_string(self.data().join("postmaster.pid"));
                let pid = file
                    .expect("it runs")
                    .lines()
                    .next()
                    .expect("a pid")
                    .to_owned();
                let mut kill = Command::new("kill");
                kill.args(["-9", &pid]);
                output(kill);
            }
        }
    }

    /// Copies all that it has on disk; it must not run.
    pub(crate) fn copy(&self, from: &Path, to: &Path) {
        let mut copy = Command::new("cp");
        copy.args(["-a", "-T"]).arg(from).arg(to);
        output(copy);
    }

    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// A new database, by its name.
    pub(crate) async fn database(&self) -> String {
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let client = self.client("postgres").await;
        let sql = format!("CREATE DATABASE {name}");
        client.batch_execute(&sql).await.expect("it is created");
        name
    }

    pub(crate) async fn client(&self, database: &str) -> Client {
        self.client_as("postgres", database).await
    }

    pub(crate) async fn client_as(&self, user: &str, database: &str) -> Client {
        let url = self.url(user, database);
        let (client, connection) = tokio_postgres::connect(&url, NoTls)
            .await
            .expect("it connects");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn command(user: Option<(u32, u32)>, name: &str, data: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.arg("-D").arg(data).current_dir("/");
    as_user(&mut command, user);
    command
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
}

fn output(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; these tests need PostgreSQL: `apt-get install postgresql`")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
