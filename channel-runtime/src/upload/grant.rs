//! What a client's token for one file says.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One file of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) owner: Uuid,
    pub(super) upload: usize,
    pub(super) entry: Uuid,
}

/// What a client's token says: which file it may bring, and what it may go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    #[serde(flatten)]
    pub(super) ticket: Ticket,
    /// The upload that was broken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resumes: Option<Ticket>,
}

impl Grant {
    /// What the tokens are made with.
    pub(super) const SALT: &'static str = "channel upload";
}
