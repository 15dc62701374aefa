//! The content of a client's token for one file.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One file of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) owner: Uuid,
    pub(super) upload: usize,
    pub(super) entry: Uuid,
}

/// The content of a client's token: the file that it may send, and the upload that it may resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    #[serde(flatten)]
    pub(super) ticket: Ticket,
    /// The upload that was broken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resumes: Option<Ticket>,
}

impl Grant {
    /// The salt of the tokens.
    pub(super) const SALT: &'static str = "channel upload";
}
