//! The ways in which an upload can end, and the words that a page and a handler get for them.

use serde_json::{Value, json};

use super::{WriterError, channel_uploads::reason};
use crate::{channel::Reason, protocol::Refusal};

/// The end of an upload that was allowed and did not complete.
pub(super) enum End<'e> {
    /// The client has sent more than it announced.
    TooManyBytes {
        limit: u64,
    },
    /// The limit of open uploads is reached.
    TooManyOpen,
    /// No chunk has come in time.
    ChunkTimeout,
    /// Its client did not come back for it in time.
    DetachTimeout,
    /// It could have been resumed, but the limit of kept uploads is reached.
    NotKept,
    /// The page, or the server's code, has cancelled it.
    Cancelled,
    /// Another file has taken its place.
    Replaced,
    /// The channel that brings it has ended.
    Channel(&'e Reason),
    Writer(&'e WriterError),
    /// A handler, or the check of an external destination, has refused it.
    Refused(&'e Refusal),
    /// The client could not send it elsewhere, with the cause that it gives.
    Elsewhere(Option<&'e Value>),
}

impl End<'_> {
    /// Returns the reason for `upload_state` and [`UploadEntry::error`](super::UploadEntry::error).
    pub(super) fn reason(&self) -> Value {
        let word = match self {
            End::TooManyBytes { limit } => {
                return json!({"reason": "file_size_limit_exceeded", "limit": limit});
            }
            End::Writer(error) => {
                return json!({"reason": "writer_failure", "cause": error.reason()});
            }
            End::Elsewhere(Some(why)) => {
                return json!({"reason": "external_client_failure", "cause": why});
            }
            End::Refused(refusal) => return reason(refusal),
            End::Elsewhere(None) => "external_client_failure",
            End::TooManyOpen => "too_many_open",
            End::ChunkTimeout => "chunk_timeout",
            End::DetachTimeout => "detach_timeout",
            End::NotKept => "not_kept",
            End::Cancelled => "cancelled",
            End::Replaced => "replaced",
            End::Channel(Reason::Left) => "left",
            End::Channel(Reason::Rejoined) => "rejoined",
            End::Channel(Reason::Closed) => "connection_closed",
            End::Channel(Reason::Draining | Reason::Shutdown(_)) => "shutdown",
            End::Channel(_) => "crashed",
        };
        word.into()
    }
}
