//! A node in a process of its own: `cluster-node URL NAME ADDRESS [impatient]`. It prints its
//! address, and ends when its standard input does, so that a test that ends early leaves no process
//! behind.

use std::env;

use anyhow::bail;
use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::node::{Node, endpoint, impatient};
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (url, name, address, options) = match &arguments[..] {
        [url, name, address] => (url, name, address, ClusterOptions::new()),
        [url, name, address, word] if word == "impatient" => (url, name, address, impatient()),
        _ => bail!("usage: cluster-node URL NAME ADDRESS [impatient]"),
    };
    let endpoint = endpoint(url, options.node(name)).await?;
    let node = Node::serve_at(endpoint, address.parse()?).await;
    println!("{}", node.address);
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}
