//! A node in a process of its own: `cluster-node URL NAME`, or with an address to listen on an
//! impatient one. It says its address, and ends when its standard input does, so that none is left
//! behind by a test that ends early.

use std::env;

use anyhow::Context;
use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::node::{Node, endpoint, impatient};
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().context("usage: cluster-node URL NAME")?;
    let name = arguments.next().context("usage: cluster-node URL NAME")?;
    let node = match arguments.next() {
        None => Node::connect(&url, ClusterOptions::new().node(name)).await?,
        Some(address) => {
            let endpoint = endpoint(&url, impatient(&name)).await?;
            Node::serve_at(endpoint, address.parse()?).await
        }
    };
    println!("{}", node.address);
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}
