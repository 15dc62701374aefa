/// Returns the number of files that the process may open: the soft limit of `RLIMIT_NOFILE`.
#[cfg(unix)]
pub(crate) fn open_files() -> usize {
    use rustix::process::{Resource, getrlimit};

    match getrlimit(Resource::Nofile).current {
        Some(files) => usize::try_from(files).unwrap_or(usize::MAX),
        None => usize::MAX,
    }
}

/// Returns a default, since the limit is unknown on this platform.
#[cfg(not(unix))]
pub(crate) fn open_files() -> usize {
    16_384
}
