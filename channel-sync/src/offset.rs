//! Positions within a shape's log.

use std::fmt;

/// A position: the transaction's lsn, and the operation within it. The snapshot's chunks are
/// operations of transaction 0, and its end is `0_inf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offset {
    pub(crate) tx: u64,
    pub(crate) op: u64,
}

impl Offset {
    /// Behind the snapshot and before the log.
    pub(crate) const SNAPSHOT_END: Offset = Offset {
        tx: 0,
        op: u64::MAX,
    };

    pub(crate) fn parse(text: &str) -> Option<Offset> {
        let (tx, op) = text.split_once('_')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let op = if op == "inf" { u64::MAX } else { number(op)? };
        Some(Offset {
            tx: number(tx)?,
            op,
        })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            u64::MAX => write!(f, "{}_inf", self.tx),
            op => write!(f, "{}_{op}", self.tx),
        }
    }
}
