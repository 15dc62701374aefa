//! nginx as the balancer, with the configuration of the example `cluster`.

use std::{
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{engine::program, eventually, port::Port, signal};

/// nginx before two nodes. It ends on drop.
pub struct Nginx {
    /// The address for clients.
    pub address: SocketAddr,
    child: Child,
    directory: TempDir,
    _port: Port,
}

impl Nginx {
    /// Starts it, on a free port.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed, or does not start.
    pub async fn start(nodes: [SocketAddr; 2]) -> Self {
        let port = Port::hold();
        let address = port.address();
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        let logged = format!(
            "log_format node $upstream_addr; access_log {} node;",
            log.display()
        );
        let config = include_str!("../../examples/cluster/nginx.conf")
            .replace("127.0.0.1:4000", &nodes[0].to_string())
            .replace("127.0.0.1:4001", &nodes[1].to_string())
            .replace("127.0.0.1:8080", &address.to_string())
            .replace("access_log off;", &logged);
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(directory.path()).arg("-c").arg(file);
        let child = command.spawn().unwrap();
        eventually("nginx listens", || TcpStream::connect(address).is_ok()).await;
        Nginx {
            address,
            child,
            directory,
            _port: port,
        }
    }

    /// Returns the number of requests that it has passed to a node.
    pub fn passed_to(&self, node: SocketAddr) -> usize {
        let log = std::fs::read_to_string(log(&self.directory)).unwrap();
        let node = node.to_string();
        log.lines().filter(|line| line.contains(&node)).count()
    }
}

fn log(directory: &TempDir) -> PathBuf {
    directory.path().join("access.log")
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It ends its workers when it is terminated, not when it is killed.
        signal(&self.child, Signal::TERM);
        let _reaped = self.child.wait();
    }
}
