//! Debian's server, on a free port, without persistence.

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

/// A running server. It ends on drop.
pub(crate) struct Engine {
    pub(crate) url: String,
    child: Child,
}

impl Engine {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?;
        let port = free.local_addr()?.port();
        drop(free);
        let port_text = port.to_string();
        let (program, words) = match name {
            "redis" => (
                "redis-server",
                vec!["--bind", "127.0.0.1", "--save", "", "--port", &port_text],
            ),
            _ => ("nats-server", vec!["-a", "127.0.0.1", "-p", &port_text]),
        };
        let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
        let mut files = folders.iter().map(|folder| Path::new(folder).join(program));
        let file = files.find(|file| file.is_file());
        let file = file.with_context(|| format!("{program} is not installed"))?;
        let mut command = Command::new(file);
        command
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn()?;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(ended) = child.try_wait()? {
                bail!("{program} does not start: {ended}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        let url = format!("{name}://127.0.0.1:{port}");
        Ok(Engine { url, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}
