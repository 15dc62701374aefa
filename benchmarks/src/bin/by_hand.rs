//! A server as people write it today: axum's WebSocket and `tokio::sync::broadcast`. `BUFFERS=1024`
//! sets its buffers, which are tungstenite's own by default.

use std::net::Ipv4Addr;

use axum::{
    Router,
    extract::{
        State,
        ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    routing::any,
};
use serde_json::value::RawValue;
use tokio::sync::broadcast::{self, Sender};

#[derive(Clone)]
struct App {
    room: Sender<Utf8Bytes>,
    buffers: Option<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let buffers = std::env::var("BUFFERS")
        .ok()
        .and_then(|text| text.parse().ok());
    let app = App {
        room: broadcast::channel(4096).0,
        buffers,
    };
    let router = Router::new()
        .route("/socket/websocket", any(upgrade))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("by hand listening on http://{}", listener.local_addr()?);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _unset = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

async fn upgrade(State(app): State<App>, upgrade: WebSocketUpgrade) -> axum::response::Response {
    let upgrade = match app.buffers {
        Some(bytes) => upgrade.read_buffer_size(bytes).write_buffer_size(0),
        None => upgrade,
    };
    upgrade.on_upgrade(move |socket| serve(socket, app.room))
}

async fn serve(mut socket: WebSocket, room: Sender<Utf8Bytes>) {
    let mut heard = room.subscribe();
    let mut joined = false;
    loop {
        let sent = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => match answer(&text, &room, &mut joined) {
                    Some(reply) => socket.send(Message::Text(reply.into())).await,
                    None => Ok(()),
                },
                Some(Ok(_)) => Ok(()),
                _ => return,
            },
            Ok(message) = heard.recv(), if joined => socket.send(Message::Text(message)).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn answer(text: &str, room: &Sender<Utf8Bytes>, joined: &mut bool) -> Option<String> {
    let (join_ref, reference, topic, event, body): (&str, &str, &str, &str, &RawValue) =
        serde_json::from_str(text).ok()?;
    match event {
        "cast" => {
            let message = format!("[null,null,\"{topic}\",\"cast\",{body}]");
            let _nobody = room.send(message.into());
            None
        }
        _ => {
            *joined |= event == "phx_join";
            let response = if event == "echo" { body.get() } else { "{}" };
            Some(format!(
                "[\"{join_ref}\",\"{reference}\",\"{topic}\",\"phx_reply\",{{\"status\":\"ok\",\"response\":{response}}}]"
            ))
        }
    }
}
