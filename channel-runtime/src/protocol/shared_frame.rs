use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

use super::Frame;

/// A frame for many connections. Its wire bytes are encoded once a connection needs them.
#[derive(Debug)]
pub(crate) struct SharedFrame {
    pub(crate) frame: Frame,
    /// Set once the frame waits for a slow client.
    pub(crate) charge: OnceLock<Charge>,
    wire: OnceLock<Arc<SharedWire>>,
}

/// The wire bytes of a shared frame: one allocation for all the clients it waits for.
#[derive(Debug)]
pub(crate) struct SharedWire {
    pub(crate) bytes: Bytes,
    pub(crate) charge: OnceLock<Charge>,
}

impl SharedFrame {
    pub(crate) fn new(frame: Frame) -> Arc<Self> {
        Arc::new(SharedFrame {
            frame,
            charge: OnceLock::new(),
            wire: OnceLock::new(),
        })
    }

    /// Returns the wire bytes, which the first caller's `encode` creates.
    pub(crate) fn wire(&self, encode: impl FnOnce(&Frame) -> Bytes) -> Arc<SharedWire> {
        let wire = self.wire.get_or_init(|| {
            Arc::new(SharedWire {
                bytes: encode(&self.frame),
                charge: OnceLock::new(),
            })
        });
        wire.clone()
    }
}

/// Bytes that count towards a sum until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    sum: Arc<AtomicUsize>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(sum: &Arc<AtomicUsize>, bytes: usize) -> Self {
        sum.fetch_add(bytes, Ordering::AcqRel);
        Charge {
            sum: sum.clone(),
            bytes,
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
