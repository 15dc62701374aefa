//! A wire that can break: it passes bytes, or drops them while both ends stay connected.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// A proxy on a port of its own. It ends on drop.
pub struct Proxy {
    /// The port that it listens on.
    pub port: u16,
    passes: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Creates a wire to this port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (passes, watched) = watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = SocketAddr::from(([127, 0, 0, 1], port));
                if let Ok(server) = TcpStream::connect(server).await {
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::spawn(copy(from_client, to_server, watched.clone()));
                    tokio::spawn(copy(from_server, to_client, watched.clone()));
                }
            }
        });
        Proxy {
            port: own,
            passes,
            task,
        }
    }

    /// Drops every byte from now on, without a notice to either end.
    pub fn swallow(&self) {
        self.passes.send_replace(false);
    }

    /// Passes new connections again. Those that lost bytes stay broken.
    pub fn heal(&self) {
        self.passes.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, passes: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if *passes.borrow() {
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        } else {
            // Drops the later bytes of this connection as well: after a gap a message cannot be
            // continued.
            while let Ok(1..) = from.read(&mut buffer).await {}
            return;
        }
    }
}
