use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::Frame;

/// A frame for many connections, with the bytes it becomes on the wire once one of them needs
/// those.
#[derive(Debug)]
pub(crate) struct SharedFrame {
    pub(crate) frame: Frame,
    pub(crate) wire: OnceLock<Bytes>,
}

impl SharedFrame {
    pub(crate) fn new(frame: Frame) -> Arc<Self> {
        Arc::new(SharedFrame {
            frame,
            wire: OnceLock::new(),
        })
    }
}
