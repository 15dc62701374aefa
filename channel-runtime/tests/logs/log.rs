//! A log that a test reads.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::runtime::Builder;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// Runs a test on one thread, and returns its log at this level and above.
pub(crate) fn logged(level: Level, test: impl Future<Output = ()>) -> String {
    logged_on(Builder::new_current_thread().enable_all(), level, test).1
}

/// Does the same on a given runtime, and also returns the test's result.
pub(crate) fn logged_on<T>(
    runtime: &mut Builder,
    level: Level,
    test: impl Future<Output = T>,
) -> (T, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let given =
        tracing::subscriber::with_default(subscriber, || runtime.build().unwrap().block_on(test));
    let bytes = log.0.lock().unwrap().clone();
    (given, String::from_utf8(bytes).unwrap())
}
