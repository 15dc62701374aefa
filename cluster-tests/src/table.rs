//! The deliveries to each client, as a table.

use std::collections::BTreeSet;

/// The deliveries to one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client.
    pub client: String,
    /// The number of messages meant for it.
    pub sent: usize,
    /// The number of those it got.
    pub delivered: usize,
    /// The number of those it got more than once.
    pub duplicated: usize,
    /// The messages that it did not get.
    pub lost: BTreeSet<u64>,
    /// True if they came in order.
    pub ordered: bool,
}

/// Compares the messages of one publisher with those that a client got.
pub fn row(client: &str, sent: impl IntoIterator<Item = u64>, seen: &[u64]) -> Row {
    let sent: BTreeSet<u64> = sent.into_iter().collect();
    let seen: Vec<u64> = seen.iter().copied().filter(|n| sent.contains(n)).collect();
    let once: BTreeSet<u64> = seen.iter().copied().collect();
    Row {
        client: client.to_owned(),
        sent: sent.len(),
        delivered: once.len(),
        duplicated: seen.len() - once.len(),
        lost: sent.difference(&once).copied().collect(),
        ordered: seen.is_sorted(),
    }
}

/// Prints the rows, visible with `--nocapture`.
pub fn print(title: &str, rows: &[Row]) {
    println!("\n{title}");
    println!("  client                   sent  delivered  duplicated  lost");
    for row in rows {
        println!(
            "  {:<23}{:>6}{:>11}{:>12}{:>6}{}",
            row.client,
            row.sent,
            row.delivered,
            row.duplicated,
            row.lost.len(),
            if row.ordered { "" } else { "   OUT OF ORDER" }
        );
    }
}

/// Returns true if all arrived, each once and in order.
pub fn is_whole(row: &Row) -> bool {
    row.lost.is_empty() && row.duplicated == 0 && row.ordered
}
