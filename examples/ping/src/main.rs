//! A socket without channels: `cargo run -p ping`, then `ws://127.0.0.1:4000/ping/websocket`, or
//! long-poll at `http://127.0.0.1:4000/ping/longpoll`. Text `ping` is answered with `pong`.

use std::process::ExitCode;

use anyhow::Result;
use channel_runtime::{
    Close, Endpoint, LongPollOptions, Refusal, SocketOptions,
    protocol::Frame,
    serve::listen,
    transport::{Action, ConnectRequest, RawHandle, RawSocket},
};
use tracing_subscriber::EnvFilter;

/// One client.
struct Ping;

impl RawSocket for Ping {
    /// Only its client sends it anything.
    type Message = ();

    async fn connect(_: &ConnectRequest, _: &Endpoint) -> Result<Self, Refusal> {
        Ok(Ping)
    }

    async fn handle_in(&mut self, frame: Frame, _: &RawHandle<Self>) -> Action {
        match frame {
            Frame::Text(text) if &*text == "ping" => Action::Push(Frame::Text("pong".into())),
            _ => Action::Stop(Close {
                code: 1003,
                reason: "only ping is understood".into(),
            }),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ping: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let options = SocketOptions::default().long_poll(LongPollOptions::default());
    let endpoint = Endpoint::builder()
        .raw_socket::<Ping>(options.path("/ping"))
        .build()?;
    let server = endpoint.serve(listen(([127, 0, 0, 1], 4000)).await?, endpoint.router());
    println!("ping listening on http://{}", server.local_addr()?);
    Ok(server.await?)
}
