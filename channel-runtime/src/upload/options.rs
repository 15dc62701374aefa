//! The limits of open uploads.

use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::{error::ConfigError, options::open_files};

/// The limits of open uploads: see
/// [`EndpointBuilder::upload_options`](crate::EndpointBuilder::upload_options).
///
/// An upload is open from its writer's `init` until the writer is closed, or its `pause` has closed
/// what it had open. One that finds no place waits for 5 seconds; then its join is refused with
/// `too_many_open`, and the page is told.
///
/// In code, or from a configuration file with serde:
///
/// ```
/// use channel_runtime::upload::UploadOptions;
///
/// let options = UploadOptions::default().max_open(2_000).max_open_per_socket(50);
/// let file = r#"{"max_open": 2000, "max_open_per_socket": 50}"#;
/// assert_eq!(serde_json::from_str::<UploadOptions>(file)?, options);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadOptions {
    max_open: Option<usize>,
    max_open_per_socket: Option<usize>,
}

impl UploadOptions {
    /// Sets the number of uploads that may be open at once, over all sockets of the endpoint.
    ///
    /// The default is half of the files that the process may open (`RLIMIT_NOFILE`, its soft limit,
    /// when the endpoint is built): 512 of 1,024 files, which leaves 352 connections to
    /// [`Endpoint::serve`](crate::Endpoint::serve) and 160 files for the rest. At least 1. With
    /// writers that open no file, it can be larger.
    #[must_use]
    pub fn max_open(mut self, uploads: usize) -> Self {
        self.max_open = Some(uploads);
        self
    }

    /// Sets the number of uploads that one socket, which is one connection, may have open at once.
    ///
    /// The default is a quarter of [`max_open`](Self::max_open), so 128 of 1,024 files. That is no
    /// less than the channels that a client may have
    /// ([`SocketOptions::max_channels`](crate::SocketOptions::max_channels)), since clients begin
    /// all files of a selection at once. At least 1.
    #[must_use]
    pub fn max_open_per_socket(mut self, uploads: usize) -> Self {
        self.max_open_per_socket = Some(uploads);
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match (self.max_open, self.max_open_per_socket) {
            (Some(0), _) => Err(ConfigError::Zero("max_open")),
            (_, Some(0)) => Err(ConfigError::Zero("max_open_per_socket")),
            _ => Ok(()),
        }
    }

    /// Returns the number of places of the endpoint, and of each socket.
    pub(super) fn places(&self) -> (usize, usize) {
        self.places_of(open_files())
    }

    fn places_of(&self, files: usize) -> (usize, usize) {
        let all = self.max_open.unwrap_or(files / 2);
        let all = all.clamp(1, Semaphore::MAX_PERMITS);
        let each = self.max_open_per_socket.unwrap_or(all / 4);
        (all, each.clamp(1, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    #[test]
    fn a_part_of_the_files_is_for_uploads() {
        let new = UploadOptions::default;
        assert_eq!(new().places_of(1_024), (512, 128));
        assert_eq!(new().places_of(1), (1, 1));
        assert_eq!(new().max_open(8).places_of(1_024), (8, 2));
        assert_eq!(
            new().max_open(8).max_open_per_socket(9).places_of(1),
            (8, 8)
        );
        assert_eq!(new().places_of(usize::MAX).0, Semaphore::MAX_PERMITS);
    }

    #[test]
    fn limits_that_cannot_work_are_refused_by_name() {
        let new = UploadOptions::default;
        for (options, name) in [
            (new().max_open(0), "max_open"),
            (new().max_open_per_socket(0), "max_open_per_socket"),
        ] {
            let built = Endpoint::builder().upload_options(options).build();
            let error = built.unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(serde_json::from_str::<UploadOptions>(r#"{"open": 1}"#).is_err());
    }
}
