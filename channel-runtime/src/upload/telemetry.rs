//! The metrics of uploads.

pub(crate) fn bytes(upload: &'static str, bytes: u64) {
    metrics::counter!("channel_upload_bytes_total", "upload" => upload).increment(bytes);
}

/// Counts a file that was begun or has ended.
pub(crate) fn file(upload: &'static str, outcome: &'static str) {
    let labels = [("upload", upload), ("outcome", outcome)];
    metrics::counter!("channel_upload_files_total", &labels).increment(1);
}
