//! A wire that can break: it passes bytes, or swallows them while both ends think it is there.

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

/// A proxy on a port of its own; it ends when it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    passes: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A wire to this port.
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

    /// From now on every byte is lost, and nobody is told.
    pub fn swallow(&self) {
        self.passes.send_replace(false);
    }

    /// New connections pass again; those that lost bytes are broken for good.
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
            // Lost, and what comes later on this connection as well: in the middle of a message
            // there is no going on.
            while let Ok(1..) = from.read(&mut buffer).await {}
            return;
        }
    }
}
