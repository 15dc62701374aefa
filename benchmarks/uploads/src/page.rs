//! The protocol of a page that uploads.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

pub(crate) const CHUNK: usize = 64_000;

pub(crate) type Socket = WebSocketStream<TcpStream>;

pub(crate) async fn connect(addr: &str, path: &str) -> Result<Socket> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = client_async(format!("ws://{addr}{path}"), stream).await?;
    Ok(socket)
}

/// A client that has joined its album. It does one thing at a time.
pub(crate) struct Page {
    socket: Socket,
    refs: u64,
    /// The refs of the uploads, by their names.
    uploads: Vec<(String, String)>,
}

impl Page {
    pub(crate) async fn open(addr: &str) -> Result<Self> {
        let socket = connect(addr, "/socket/websocket?vsn=2.0.0").await?;
        let mut page = Page {
            socket,
            refs: 0,
            uploads: Vec::new(),
        };
        page.call("album:1", "phx_join", json!({}), "1").await?;
        while page.uploads.len() < 3 {
            page.next().await?;
        }
        Ok(page)
    }

    async fn next(&mut self) -> Result<Value> {
        loop {
            let message = self
                .socket
                .next()
                .await
                .context("the server has closed")??;
            let Message::Text(text) = message else {
                continue;
            };
            let message: Value = serde_json::from_str(&text)?;
            if message[3] == "upload_state" {
                let of = |field: &str| message[4][field].as_str().unwrap_or_default().to_owned();
                if self.uploads.iter().all(|(name, _)| *name != of("name")) {
                    self.uploads.push((of("name"), of("ref")));
                }
            }
            return Ok(message);
        }
    }

    async fn call(
        &mut self,
        topic: &str,
        event: &str,
        payload: Value,
        join: &str,
    ) -> Result<Value> {
        self.refs += 1;
        let reference = self.refs.to_string();
        let message = json!([join, reference, topic, event, payload]).to_string();
        self.socket.send(Message::text(message)).await?;
        self.reply(&reference).await
    }

    async fn reply(&mut self, reference: &str) -> Result<Value> {
        loop {
            let message = self.next().await?;
            if message[3] == "phx_reply" && message[1] == *reference {
                ensure!(message[4]["status"] == "ok", "refused: {message}");
                return Ok(message[4]["response"].clone());
            }
        }
    }

    fn upload(&self, name: &str) -> Result<String> {
        let found = self.uploads.iter().find(|(known, _)| known == name);
        Ok(found.context("no such upload")?.1.clone())
    }

    /// Asks to send a file, and joins its channel.
    pub(crate) async fn begin(&mut self, upload: &str, entry: u64, size: u64) -> Result<()> {
        let upload = self.upload(upload)?;
        let entry_ref = entry.to_string();
        let file = json!({"ref": entry_ref, "name": "a.bin", "size": size, "type": ""});
        let asked = json!({"ref": upload, "entries": [file]});
        let allowed = self.call("album:1", "allow_upload", asked, "1").await?;
        let token = allowed["entries"][&entry_ref].clone();
        ensure!(token.is_string(), "no token: {allowed}");
        let join = format!("lvu:{entry_ref}");
        self.call(&join, "phx_join", json!({"token": token}), &entry_ref)
            .await?;
        Ok(())
    }

    /// Sends a chunk and waits until it is acknowledged.
    pub(crate) async fn chunk(&mut self, entry: u64, data: &[u8]) -> Result<()> {
        let reference = self.send_chunk(entry, data).await?;
        self.reply(&reference).await.map(drop)
    }

    /// Sends a chunk, and returns the ref of its acknowledgement.
    async fn send_chunk(&mut self, entry: u64, data: &[u8]) -> Result<String> {
        self.refs += 1;
        let reference = self.refs.to_string();
        let (join, topic) = (entry.to_string(), format!("lvu:{entry}"));
        let mut frame = BytesMut::with_capacity(data.len() + 64);
        frame.put_u8(0);
        let fields = [&*join, &*reference, &*topic, "chunk"];
        fields
            .iter()
            .for_each(|field| frame.put_u8(field.len() as u8));
        fields
            .iter()
            .for_each(|field| frame.put_slice(field.as_bytes()));
        frame.put_slice(data);
        self.socket.send(Message::binary(frame.freeze())).await?;
        Ok(reference)
    }

    /// Sends a whole file, a chunk at a time.
    pub(crate) async fn file(&mut self, upload: &str, entry: u64, size: u64) -> Result<()> {
        self.send_file(upload, entry, size, 1).await
    }

    /// Sends a whole file, with this many chunks in flight at once.
    pub(crate) async fn send_file(
        &mut self,
        upload: &str,
        entry: u64,
        size: u64,
        at_once: usize,
    ) -> Result<()> {
        self.begin(upload, entry, size).await?;
        let data = Bytes::from(vec![7; CHUNK]);
        let mut rest = size as usize;
        let mut sent = VecDeque::new();
        while rest > 0 || !sent.is_empty() {
            while rest > 0 && sent.len() < at_once {
                let len = rest.min(CHUNK);
                sent.push_back(self.send_chunk(entry, &data[..len]).await?);
                rest -= len;
            }
            if let Some(first) = sent.pop_front() {
                self.reply(&first).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn cancel(&mut self, upload: &str, entry: u64) -> Result<()> {
        let payload = json!({"ref": self.upload(upload)?, "entry_ref": entry.to_string()});
        self.call("album:1", "upload_cancel", payload, "1")
            .await
            .map(drop)
    }
}

/// Sends the bytes of a file to the echo, a chunk at a time.
pub(crate) async fn echo(addr: &str, size: u64) -> Result<()> {
    let mut socket = connect(addr, "/echo").await?;
    let data = Bytes::from(vec![7; CHUNK]);
    let mut rest = size as usize;
    while rest > 0 {
        let len = rest.min(CHUNK);
        // Copied, as the page copies it into its frame.
        let chunk = Bytes::copy_from_slice(&data[..len]);
        socket.send(Message::binary(chunk)).await?;
        match socket.next().await.context("the server has closed")?? {
            Message::Binary(back) if back.len() == len => {}
            other => bail!("no echo: {other:?}"),
        }
        rest -= len;
    }
    Ok(())
}
