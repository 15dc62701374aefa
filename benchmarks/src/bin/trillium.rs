//! A peer: `trillium-channels`, which speaks Phoenix's protocol too, in version 1.

use std::net::Ipv4Addr;

use trillium_channels::{ChannelConn, ChannelEvent, ChannelHandler, channel};

struct Bench;

impl ChannelHandler for Bench {
    async fn join_channel(&self, conn: ChannelConn<'_>, event: ChannelEvent) {
        conn.allow_join(&event, &()).await;
    }

    async fn incoming_message(&self, conn: ChannelConn<'_>, event: ChannelEvent) {
        match event.event() {
            "cast" => conn.broadcast(event),
            _ => conn.reply_ok(&event, event.payload()).await,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!(
        "trillium-channels listening on http://{}",
        listener.local_addr()?
    );
    trillium_tokio::config()
        .with_prebound_server(listener)
        .with_max_connections(None)
        .with_nodelay()
        .run_async(channel(Bench))
        .await;
    Ok(())
}
