//! A task's log lines, through the contract and through WASI alike, and the
//! bound on them.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    neuron::environment::{Environment, LogLevel, LogRecord},
    signal::Object,
};

/// What a line of the log takes beside its text: time, trace, tenant, neuron.
const LINE_BYTES: usize = 128;

/// Where a task's lines go; clones share the bound.
#[derive(Clone)]
pub(in crate::neuron) struct Log(Arc<Shared>);

struct Shared {
    environment: Arc<dyn Environment>,
    limit: usize,
    /// Bytes that the log may still take; none once a line was dropped.
    left: Mutex<Option<usize>>,
}

impl Log {
    /// At most `limit` bytes of them.
    pub(super) fn new(environment: Arc<dyn Environment>, limit: usize) -> Self {
        Self(Arc::new(Shared {
            environment,
            limit,
            left: Mutex::new(Some(limit)),
        }))
    }

    /// Hands on a line whose text has so many bytes, or says once that no more
    /// are.
    pub(in crate::neuron) fn write(&self, record: LogRecord, bytes: usize) {
        let Shared {
            environment,
            limit,
            left,
        } = &*self.0;
        let mut left = left.lock();
        let Some(before) = *left else { return };
        *left = before.checked_sub(bytes.saturating_add(LINE_BYTES));
        if left.is_some() {
            environment.log(record);
            return;
        }
        environment.log(LogRecord {
            level: LogLevel::Warn,
            message: format!(
                "the task has written its {limit} bytes of log; what follows is dropped"
            ),
            fields: Object::new(),
        });
    }
}
