//! Standard output and error: line by line to the trace's log.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult, pipe::SinkOutputStream},
};

use crate::{
    neuron::{
        environment::{LogLevel, LogRecord},
        guest::{Log, cut},
    },
    signal::Object,
};

/// Bytes that the guest may write at a time: what `blocking-write-and-flush`
/// takes.
const PERMIT: usize = 4096;

/// Lines that were logged and are still to be counted as host calls.
#[derive(Clone, Default)]
pub(super) struct LineCount(Arc<AtomicU64>);

impl LineCount {
    pub(super) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// One of the two streams; clones write to the same.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Lines>>);

struct Lines {
    log: Log,
    stream: &'static str,
    level: LogLevel,
    /// The line that has no end yet, cut at [`LogRecord::MAX_BYTES`].
    begun: Vec<u8>,
    count: LineCount,
}

impl Output {
    pub(super) fn new(log: &Log, stream: &'static str, level: LogLevel, count: &LineCount) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            log: log.clone(),
            stream,
            level,
            begun: Vec::new(),
            count: count.clone(),
        })))
    }
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LogRecord::MAX_BYTES.saturating_sub(self.begun.len());
            self.begun.extend(text.iter().take(room));
            if ends {
                self.log();
            }
        }
    }

    /// Logs the line so far. An empty one tells nobody anything.
    fn log(&mut self) {
        let line = std::mem::take(&mut self.begun);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            return;
        }
        let message = String::from_utf8_lossy(line).into_owned();
        let message = cut(message, LogRecord::MAX_BYTES);
        self.count.0.fetch_add(1, Ordering::Relaxed);
        let stream = Value::from(self.stream);
        let bytes = message.len();
        let record = LogRecord {
            level: self.level,
            message,
            fields: Object::from_iter([("stream".to_owned(), stream)]),
        };
        self.log.write(record, bytes);
    }
}

impl Drop for Lines {
    /// The last line may have no end.
    fn drop(&mut self) {
        self.log();
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    /// WASI 0.2 does not ask for this form.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        SinkOutputStream.async_stream()
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > PERMIT {
            return Err(StreamError::trap(
                "more was written than check-write allows",
            ));
        }
        self.0.lock().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}
