//! Documentation, lints and other attributes stay in place, and nothing warns.

#![deny(warnings, missing_docs, clippy::all)]

use channel_runtime::prelude::*;

/// A room.
pub struct Room;

/// The room.
#[allow(clippy::needless_pass_by_ref_mut)]
#[channel("room:*")]
impl Room {
    //! Inner documentation.

    /// Accepts every client.
    #[join]
    #[must_use]
    pub fn join() -> Self {
        Room
    }

    /// Answers.
    #[inline]
    #[handle_in("ping")]
    #[doc(alias = "pong")]
    pub fn ping(&mut self) -> Reply {
        Ok(())
    }

    /// Only the runtime calls it.
    #[handle_in("private")]
    fn private(&mut self) {}

    /// Old.
    #[deprecated = "use ping"]
    #[handle_in("old")]
    pub fn old(&mut self) {}
}

fn main() {}
