//! The cost of an upload beside a plain WebSocket, its memory, and the remains of uploads. The
//! server is a process of its own, and so are the clients that are killed.

mod leaks;
mod memory;
mod page;
mod server;
mod throughput;

use anyhow::{Result, bail};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["server", folder] => server::serve(folder).await,
        ["client", addr, upload, count] => leaks::hold(addr, upload, count.parse()?).await,
        [] => {
            throughput::measure().await?;
            memory::measure().await?;
            leaks::measure("files").await?;
            leaks::measure("objects").await
        }
        ["throughput"] => throughput::measure().await,
        ["memory"] => memory::measure().await,
        ["leaks"] => {
            leaks::measure("files").await?;
            leaks::measure("objects").await
        }
        _ => bail!("usage: uploads-benchmark [throughput | memory | leaks]"),
    }
}
