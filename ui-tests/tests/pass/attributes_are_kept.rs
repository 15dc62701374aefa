//! Documentation, lints and other attributes stay where they are, and nothing warns.

#![deny(warnings, missing_docs, clippy::all)]

use channel_runtime::prelude::*;

/// A room.
pub struct Room;

/// What it does.
#[allow(clippy::needless_pass_by_ref_mut)]
#[channel("room:*")]
impl Room {
    //! Inner documentation.

    /// Lets everybody in.
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

    /// Nobody calls it but the runtime.
    #[handle_in("private")]
    fn private(&mut self) {}

    /// Old.
    #[deprecated = "use ping"]
    #[handle_in("old")]
    pub fn old(&mut self) {}
}

fn main() {}
