//! The memory of 200 uploads in flight, and its growth with their size.

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    page::{CHUNK, Page},
    server::Server,
};

const UPLOADS: usize = 200;

pub(crate) async fn measure() -> Result<()> {
    println!("memory, {UPLOADS} uploads at once, each on a connection of its own:");
    for mebibytes in [1, 5, 25] {
        let server = Server::start().await?;
        let mut pages = Vec::new();
        for _ in 0..UPLOADS {
            pages.push(Page::open(&server.addr).await?);
        }
        let before = server.memory()?;
        let mut uploads = JoinSet::new();
        for mut page in pages {
            uploads
                .spawn(async move { page.file("files", 0, mebibytes << 20).await.map(|()| page) });
        }
        let mut most: f64 = 0.0;
        let mut open = Vec::new();
        while let Some(done) = uploads.join_next().await {
            open.push(done??);
            most = most.max(server.memory()?);
        }
        let each = (most - before) / UPLOADS as f64;
        let chunks = each * 1024.0 / CHUNK as f64;
        println!(
            "  {mebibytes:>3} MiB each: {each:>6.1} KiB an upload at most, {chunks:.2} × its chunk"
        );
    }
    Ok(())
}
