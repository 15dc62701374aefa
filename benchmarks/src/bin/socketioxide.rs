//! A peer: `socketioxide`, a Socket.IO server in Rust, as its documentation shows it.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};

#[derive(Serialize, Deserialize)]
struct Cast {
    body: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on(
            "join",
            async |socket: SocketRef, Data(room): Data<String>, ack: AckSender| {
                socket.join(room);
                let _gone = ack.send(&());
            },
        );
        socket.on(
            "cast",
            async |io: SocketIo, Data((room, cast)): Data<(String, Cast)>| {
                let _gone = io.to(room).emit("cast", &cast).await;
            },
        );
        socket.on("echo", async |Data(value): Data<Value>, ack: AckSender| {
            let _gone = ack.send(&value);
        });
    });
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!(
        "socketioxide listening on http://{}",
        listener.local_addr()?
    );
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _unset = stream.set_nodelay(true);
    });
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}
